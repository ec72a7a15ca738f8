package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
)

func policyDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show which requests two configurations answer differently",
		Long: `Compares the policies of two configuration files, site by site: on a request for
every route of either, and for every two routes that a request can match at once.
It also lists scopes that are declared differently, and different settings that
apply to all routes of a site or to all sites, or say what the upstream is told.
The file - is standard input.`,
		Example: `  patgate policy diff Caddyfile.deployed Caddyfile
  git show HEAD:Caddyfile | patgate policy diff - Caddyfile --json`,
		Args: wantArgs("OLD", "NEW"),
	}
	adapter := cmd.Flags().StringP("adapter", "a", "", "`NAME` of the config adapter (default: caddyfile, unless a file is JSON)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, files []string) error {
		if files[0] == "-" && files[1] == "-" {
			return usageErrorf("OLD and NEW can't both be -: standard input is read once")
		}
		before, err := readConfiguration(files[0], *adapter, cmd.InOrStdin())
		if err != nil {
			return err
		}
		after, err := readConfiguration(files[1], *adapter, cmd.InOrStdin())
		if err != nil {
			return err
		}
		d, err := diffConfigurations(before, after)
		if err != nil {
			return err
		}
		return printAnswer(cmd, *asJSON, d, printDiff)
	})
	return cmd
}

// configurationDiff is what two configurations answer differently.
type configurationDiff struct {
	Sites    []siteDiff               `json:"sites"`
	Settings []settingDifference      `json:"settings"` // of all sites
	Scopes   []policy.ScopeDifference `json:"scopes"`
}

// siteDiff is what two configurations answer differently at a site. One that only
// one of them has is compared with an empty policy.
type siteDiff struct {
	Site     string              `json:"site"`
	Note     string              `json:"note,omitempty"`
	Requests []policy.Difference `json:"requests"`
	Settings []settingDifference `json:"settings"`
}

// settingDifference is a setting of a site, or of all, that decides requests, or what the
// upstream gets of their tokens, whatever their routes.
type settingDifference struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// settings returns the settings that diff compares, with their values.
func (s site) settings() [][2]string {
	h, until, preflight := s.gate, "reject", "deny"
	if h.policy.ForwardsPreflights(s.Asked) {
		preflight = "forward"
	}
	if h.UnknownTokenUntil != "" {
		until = "forward until " + h.UnknownTokenUntil
	}
	return [][2]string{
		{"matcher", cmp.Or(s.Matcher, "none")},
		{"let_through", cmp.Or(strings.Join(slices.Sorted(slices.Values(h.LetThrough)), ", "), "nothing")},
		{"unknown_token", until},
		{"forward_token", cmp.Or(h.ForwardToken, "keep")},
		{"identity_headers", h.identityWords()},
		{"cors_preflight", preflight},
		{"encoded_slash", cmp.Or(h.EncodedSlash, "reject")},
		{"semicolon", cmp.Or(h.Semicolon, "reject")},
		{"stream_check", cmp.Or(h.StreamCheck, "on")},
	}
}

// settings returns those that diff compares for all sites.
func (a *App) settings() [][2]string {
	limit := "off"
	if n := a.UnknownTokenLimit.tokens(); n > 0 {
		limit = fmt.Sprintf("%d %s", n, registry.FormatDuration(time.Duration(a.UnknownTokenLimit.Window)))
	}
	return [][2]string{{"unknown_token_limit", limit}}
}

// diffSettings returns the settings, the same ones, that have different values.
func diffSettings(before, after [][2]string) []settingDifference {
	differences := []settingDifference{}
	for i, was := range before {
		if now := after[i]; was != now {
			differences = append(differences, settingDifference{was[0], was[1], now[1]})
		}
	}
	return differences
}

func diffConfigurations(before, after *configuration) (d configurationDiff, err error) {
	if len(before.sites)+len(after.sites) == 0 {
		return d, errors.New("no site of either configuration uses patgate")
	}
	d.Scopes = append([]policy.ScopeDifference{}, policy.DiffScopes(before.app.catalog, after.app.catalog)...)
	d.Settings = diffSettings(before.app.settings(), after.app.settings())
	d.Sites = []siteDiff{}
	partners, rest := pairs(before.sites, after.sites)
	name := naming(before.sites, after.sites)
	for i, s := range before.sites {
		t := partners[i]
		if t == nil {
			d.Sites = append(d.Sites, onlyIn("old", name(s)))
			continue
		}
		requests := append([]policy.Difference{}, policy.Diff(s.gate.policy, t.gate.policy)...)
		settings := diffSettings(s.settings(), t.settings())
		note := ""
		if was := s.String(); was != t.String() && !s.isWhere(*t) {
			note = "the old configuration has it as " + was
		}
		d.Sites = append(d.Sites, siteDiff{Site: name(*t), Note: note, Requests: requests, Settings: settings})
	}
	for _, s := range rest {
		d.Sites = append(d.Sites, onlyIn("new", name(s)))
	}
	return d, nil
}

// pairs returns for each of the sites before that of those after which it has become, nil
// if none has, and those that are new.
func pairs(before, after []site) (partners []*site, rest []site) {
	partners, rest = make([]*site, len(before)), slices.Clone(after)
	for _, same := range []func(s, t site) bool{
		// Of several gates on a host, that of the same requests.
		func(s, t site) bool { return s.isWhere(t) && s.Matcher == t.Matcher },
		site.isWhere,
		func(s, t site) bool { return s.String() == t.String() },
		// Where there is one site in each, it may have changed its name.
		func(s, t site) bool { return len(before) == 1 && len(after) == 1 },
	} {
		for i, s := range before {
			if partners[i] != nil {
				continue
			}
			if j := slices.IndexFunc(rest, func(t site) bool { return same(s, t) }); j >= 0 {
				found := rest[j]
				partners[i], rest = &found, slices.Delete(rest, j, j+1)
			}
		}
	}
	return partners, rest
}

// naming returns what names the sites of both configurations: with their matchers, where
// one has several by a name.
func naming(configurations ...[]site) func(site) string {
	several := map[string]bool{}
	for _, sites := range configurations {
		seen := map[string]bool{}
		for _, s := range sites {
			several[s.String()] = several[s.String()] || seen[s.String()]
			seen[s.String()] = true
		}
	}
	return func(s site) string {
		if several[s.String()] && s.Matcher != "" {
			return s.String() + " " + s.Matcher
		}
		return s.String()
	}
}

// isWhere reports whether two sites are on the same hosts and ports, whatever they are called
// beside others.
func (s site) isWhere(t site) bool {
	return slices.Equal(s.Hosts, t.Hosts) && slices.Equal(s.Ports, t.Ports) && s.Failed == t.Failed
}

func onlyIn(which, name string) siteDiff {
	return siteDiff{
		Site: name, Note: "only the " + which + " configuration has it",
		Requests: []policy.Difference{}, Settings: []settingDifference{},
	}
}

func printDiff(w io.Writer, d configurationDiff) {
	n := 0
	for _, s := range d.Sites {
		here := len(s.Requests) + len(s.Settings)
		if s.Note != "" {
			here++
		}
		if s.Note != "" || len(d.Sites) > 1 && here > 0 {
			fmt.Fprintln(w, strings.TrimSuffix(s.Site+": "+s.Note, ": "))
		}
		for _, r := range s.Requests {
			fmt.Fprintf(w, "%s %s: %s -> %s\n", strings.Join(r.Methods, ","), r.Pattern, r.Old, r.New)
		}
		printSettings(w, s.Settings)
		n += here
	}
	printSettings(w, d.Settings)
	n += len(d.Settings)
	for _, s := range d.Scopes {
		fmt.Fprintf(w, "scope %s: %s -> %s\n", s.Name, s.Old, s.New)
	}
	fmt.Fprintf(w, "%s, %s\n", counted(n, "difference"), counted(len(d.Scopes), "changed scope"))
}

func printSettings(w io.Writer, settings []settingDifference) {
	for _, s := range settings {
		fmt.Fprintf(w, "%s: %s -> %s\n", s.Name, s.Old, s.New)
	}
}
