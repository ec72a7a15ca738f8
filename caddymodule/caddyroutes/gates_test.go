package caddyroutes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/patgate/patgate/caddymodule" // the directives
	"github.com/patgate/patgate/caddymodule/caddyroutes"
	"github.com/patgate/patgate/policy"
)

// gateBlock is a gate in a Caddyfile, with a matcher and further lines.
func gateBlock(matcher, lines string) string {
	return "patgate " + matcher + "{\n\tdefault deny\n\troute GET /a any\n" + lines + "}\n"
}

// Names in the Caddyfiles of the rows below.
var inRows = strings.NewReplacer(
	"GATE/a", gateBlock("/a/* ", ""), "GATE@m", gateBlock("@m ", ""), "GATE@n", gateBlock("@n ", ""), "GATE", gateBlock("", ""),
	"PREFLIGHTS", gateBlock("", "\tcors_preflight forward\n"),
	"TENANT", gateBlock("", "\tspace header.X-Tenant\n"), "SIGNED", gateBlock("", "\tidentity_headers signed\n"),
	"{ ", "{\n", "; ", "\n", " }", "\n}",
)

// checked returns what is warned of in a site; the row may begin with global options, and
// with other sites behind "+++".
func checked(t *testing.T, row string) []string {
	t.Helper()
	global, site, is := strings.Cut(row, "===")
	if !is {
		global, site = "", row
	}
	site, others, _ := strings.Cut(site, "+++")
	text := fmt.Sprintf("{\n%s\n}\n%s\nhttp://a.test {\n%s\n}\n", inRows.Replace(global), inRows.Replace(others), inRows.Replace(site))
	body, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatalf("%s: %v", row, err)
	}
	var config struct {
		Apps struct {
			HTTP struct{ Servers json.RawMessage }
		}
	}
	if err := json.Unmarshal(body, &config); err != nil {
		t.Fatal(err)
	}
	return checkedJSON(t, string(config.Apps.HTTP.Servers))
}

// checkedJSON returns what is warned of in servers.
func checkedJSON(t *testing.T, text string) (warnings []string) {
	t.Helper()
	var all []*caddyroutes.Server
	var servers map[string]*caddyroutes.Server
	if err := json.Unmarshal([]byte(text), &servers); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		if err := servers[name].ReadGates(readGate); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, servers[name])
	}
	for _, w := range caddyroutes.Check(all) {
		warnings = append(warnings, w.Text)
	}
	return warnings
}

// gate is one that only answers what is to be known of it.
type gate struct {
	at              string
	policy          *policy.Policy
	IdentityHeaders struct{ Signed *struct{} } `json:"identity_headers"`
}

func readGate(raw json.RawMessage) (caddyroutes.Gate, error) {
	var g gate
	var config policy.Config
	err := errors.Join(json.Unmarshal(raw, &g), json.Unmarshal(raw, &config))
	if g.at = config.At; err == nil {
		g.policy, err = policy.Compile(config, new(policy.Catalog))
	}
	return &g, err
}

func (g *gate) Place() string { return g.at }

func (g *gate) Policy() *policy.Policy { return g.policy }

func (g *gate) IdentityNames() []string {
	if g.IdentityHeaders.Signed != nil {
		return []string{"X-Patgate-Identity"}
	}
	return []string{"X-Patgate-Owner", "X-Patgate-Scopes"}
}

// wantWarnings compares what is warned of with how it is to begin; "": nothing.
func wantWarnings(t *testing.T, row string, got []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(got) == 0, want != "" && len(got) == 1 && strings.HasPrefix(got[0], want):
	case want == "":
		t.Errorf("%s\nwarns of %q, want nothing", row, got)
	default:
		t.Errorf("%s\nwarns of %q, want %q", row, got, want)
	}
}
