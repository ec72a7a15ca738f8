package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list, change and end tokens",
		Long: `Commands that manage the tokens of the running server, through its admin
endpoint. Its address comes from --address or --config, else from the environment
variable CADDY_ADMIN, else it is localhost:2019.`,
		Example: `  patgate token create --name ci --owner alice --space 1 --scope stories:write
  patgate token list --owner alice
  patgate token revoke 01kbn4mxkpz8t2rwy3c5q7d9ef`,
	}
	cmd.AddCommand(
		tokenCreateCommand(), tokenListCommand(), tokenShowCommand(), tokenUpdateCommand(), tokenGrantCommand(),
		tokenRevokeCommand(), tokenRegenerateCommand(), tokenDeleteCommand(), tokenVerifyCommand(),
		tokenImportCommand(), tokenExportCommand(), tokenPatternCommand(),
	)
	return cmd
}

func tokenCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --name NAME [--owner OWNER] [--scope SCOPE]... [--space ID]... | --full",
		Short: "Make a token and show its secret, this once",
		Long: `Makes a token and prints it with its secret. The secret is kept nowhere: if you
lose it, regenerate the token.

--scope, --space, --all-spaces and --resource together make one grant. Each
--grant adds another, as JSON. If the policy has routes in spaces, every grant
must say for which spaces it is.`,
		Example: `  patgate token create --name ci --owner alice --space 1 --scope stories:write
  patgate token create --name backup --full --expires-in 7d --allow-ip 10.0.0.0/8
  patgate token create --name sync --grant '{"spaces":["1"],"scopes":["stories:*"]}' --grant '{"spaces":["2"],"scopes":["assets:read"]}'
  patgate token create --name robot --all-spaces --scope stories:read --json | jq -r .secret`,
		Args: wantArgs(),
	}
	var n registry.NewToken
	flags := cmd.Flags()
	flags.StringVar(&n.Name, "name", "", "`NAME` by which people know the token (required)")
	flags.StringVar(&n.Description, "description", "", "`TEXT` that says what the token is for")
	flags.StringVar(&n.Owner, "owner", "", "`OWNER` of the token: the account that it belongs to")
	flags.Var(aRange.listedIn(&n.AllowedIPs), "allow-ip", "address or range (`CIDR`) from which the token may be used (repeatable; default: everywhere)")
	grants := newGrantFlags(cmd)
	lifetime := newLifetimeFlags(cmd)
	return askingCommand(cmd, func(a *asking, _ []string) (err error) {
		if n.Name == "" {
			return usageErrorf("--name is missing: a token needs one, so that people can tell it from others")
		}
		if n.Grants, n.Full, err = grants.read(); err != nil {
			return err
		}
		if n.Lifetime, err = lifetime.read(); err != nil {
			return err
		}
		return a.askSecret(apiPath("tokens"), n)
	})
}

func tokenShowCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "show ID",
		Short: "Show a token",
		Example: `  patgate token show 01kbn4mxkpz8t2rwy3c5q7d9ef
  patgate token show 01kbn4mxkpz8t2rwy3c5q7d9ef --json | jq .grants`,
		Args: wantArgs("ID"),
	}, func(a *asking, args []string) error {
		if err := checkIDs(args...); err != nil {
			return err
		}
		return ask(a, http.MethodGet, apiPath("tokens", args[0]), nil, printToken)
	})
}

func tokenUpdateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "update ID [--name NAME] [--description TEXT] [--allow-ip CIDR... | --allow-everywhere]",
		Short: "Change what a token is called, and where it may be used from",
		Example: `  patgate token update 01kbn4mxkpz8t2rwy3c5q7d9ef --name "ci, new runners"
  patgate token update 01kbn4mxkpz8t2rwy3c5q7d9ef --description ""
  patgate token update 01kbn4mxkpz8t2rwy3c5q7d9ef --allow-ip 10.0.0.0/8 --allow-ip 2001:db8::/32`,
		Args: wantArgs("ID"),
	}
	name := cmd.Flags().String("name", "", "`NAME` by which people know the token")
	description := cmd.Flags().String("description", "", "`TEXT` that says what the token is for")
	addresses := new([]string)
	cmd.Flags().Var(aRange.listedIn(addresses), "allow-ip", "address or range (`CIDR`) from which the token may be used, in place of the present ones (repeatable)")
	cmd.Flags().Bool("allow-everywhere", false, "the token may be used from everywhere")
	return askingCommand(cmd, func(a *asking, args []string) error {
		if err := oneOf(cmd, "allow-ip", "allow-everywhere"); err != nil {
			return err
		}
		if err := checkIDs(args...); err != nil {
			return err
		}
		changes := registry.Changes{
			Name: changed(cmd, "name", name), Description: changed(cmd, "description", description),
			AllowedIPs: changed(cmd, "allow-ip", addresses),
		}
		if len(given(cmd, "allow-everywhere")) > 0 {
			changes.AllowedIPs = &[]string{}
		}
		if changes == (registry.Changes{}) {
			return usageErrorf("say what to change: --name, --description, --allow-ip, --allow-everywhere")
		}
		return ask(a, http.MethodPatch, apiPath("tokens", args[0]), changes, printToken)
	})
}

func tokenGrantCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grant ID (--add GRANT | --remove NUMBER | --remove-all)",
		Short: "Change what a token may do",
		Long: `Gives a token another grant, or removes one or all of its grants. Grants are
numbered as in "token show". A change applies from the next request on.`,
		Example: `  patgate token grant 01kbn4mxkpz8t2rwy3c5q7d9ef --add '{"spaces":["2"],"scopes":["assets:read"]}'
  patgate token grant 01kbn4mxkpz8t2rwy3c5q7d9ef --remove 1
  patgate token grant 01kbn4mxkpz8t2rwy3c5q7d9ef --remove-all`,
		Args: wantArgs("ID"),
	}
	add := cmd.Flags().StringArray("add", nil, "the `GRANT` to add, as JSON")
	remove := new(string)
	cmd.Flags().Var(aGrant.in(remove), "remove", "the `NUMBER` of the grant to remove")
	cmd.Flags().Bool("remove-all", false, "remove all grants")
	return askingCommand(cmd, func(a *asking, args []string) error {
		if err := oneOf(cmd, "add", "remove", "remove-all"); err != nil {
			return err
		}
		change := given(cmd, "add", "remove", "remove-all")
		if len(change) == 0 {
			return usageErrorf("give one of --add, --remove, --remove-all")
		}
		if err := checkIDs(args...); err != nil {
			return err
		}
		grants := []string{"tokens", args[0], "grants"}
		switch change[0] {
		case "--add":
			if len(*add) > 1 {
				return usageErrorf("--add: give one grant at a time")
			}
			g, err := parseGrant("--add", (*add)[0])
			if err != nil {
				return err
			}
			return ask(a, http.MethodPost, apiPath(grants...), g, printToken)
		case "--remove":
			return ask(a, http.MethodDelete, apiPath(append(grants, *remove)...), nil, printToken)
		}
		return ask(a, http.MethodDelete, apiPath(grants...), nil, printToken)
	})
}

func tokenRegenerateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "regenerate ID [--expires-in DURATION | --expires-at TIME | --no-expiry] [--overlap DURATION]",
		Short: "Replace a token's secret and show the new one, this once",
		Long: `Gives a token a new secret and a new expiry. Its id, name and grants stay. A token
that has expired or was revoked becomes active again.

The old secret ends at once, unless --overlap keeps it working while you hand out
the new one, but never beyond its own expiry. Up to four old secrets can work at a
time. Another overlap is refused until one of them has ended.`,
		Example: `  patgate token regenerate 01kbn4mxkpz8t2rwy3c5q7d9ef --overlap 1h
  patgate token regenerate 01kbn4mxkpz8t2rwy3c5q7d9ef --expires-at 2027-06-30`,
		Args: wantArgs("ID"),
	}
	lifetime := newLifetimeFlags(cmd)
	overlap := new(string)
	cmd.Flags().Var(aDuration.in(overlap), "overlap", "`DURATION` for which the old secret keeps working, as in 12h (default: not at all)")
	return askingCommand(cmd, func(a *asking, args []string) (err error) {
		renewal := registry.Renewal{Overlap: changed(cmd, "overlap", overlap)}
		if renewal.Lifetime, err = lifetime.read(); err != nil {
			return err
		}
		if err := checkIDs(args...); err != nil {
			return err
		}
		return a.askSecret(apiPath("tokens", args[0], "regenerate"), renewal)
	})
}

func tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID... | --owner OWNER",
		Short: "End tokens at once, and keep their records",
		Long: `Ends tokens, or all tokens of an owner. If one of several ids is unknown, none is
revoked. The command returns when the revocation is stored, and prints how many
gateways have acknowledged it. With --wait, it returns when all have, or after
that time.`,
		Example: `  patgate token revoke 01kbn4mxkpz8t2rwy3c5q7d9ef --wait 2s
  patgate token revoke --owner alice`,
	}
	return endingCommand(cmd, "revoke", func(r rest.Revocation) ([]string, rest.Gateways) { return r.Revoked, r.Gateways })
}

func tokenDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete ID... | --owner OWNER",
		Short: "End tokens at once, and remove their records",
		Long: `Deletes tokens, or all tokens of an owner, for good. If one of several ids is
unknown, none is deleted. To keep a record of the tokens, revoke them instead.`,
		Example: `  patgate token delete 01kbn4mxkpz8t2rwy3c5q7d9ef
  patgate token delete --owner alice`,
	}
	return endingCommand(cmd, "delete", func(d rest.Deletion) ([]string, rest.Gateways) { return d.Deleted, d.Gateways })
}

// endingCommand makes cmd one that ends tokens, those with the ids given or all of an
// owner, in the way that do says. ended returns what its answer says: which have, and who
// knows.
func endingCommand[T any](cmd *cobra.Command, do string, ended func(answer T) ([]string, rest.Gateways)) *cobra.Command {
	owner := cmd.Flags().String("owner", "", do+" all tokens of this `OWNER`")
	once(cmd.Flags().Lookup("owner")) // of two owners, one would be forgotten
	wait := new(string)
	cmd.Flags().Var(aWait.in(wait), "wait", "wait up to this `DURATION` for all gateways to acknowledge it, as in 2s (default: a moment)")
	cmd.Args = func(cmd *cobra.Command, ids []string) error {
		switch byOwner := cmd.Flags().Changed("owner"); {
		case byOwner && len(ids) > 0:
			return errors.New("want ids or --owner, got both")
		case !byOwner && len(ids) == 0:
			return errors.New("say which tokens: ID... or --owner")
		case byOwner && *owner == "":
			return errors.New("--owner is empty: say whose tokens")
		}
		return nil
	}
	return askingCommand(cmd, func(a *asking, ids []string) error {
		if err := checkIDs(ids...); err != nil {
			return err
		}
		chosen, path := map[string]any{"ids": ids}, apiPath("tokens", do)
		if len(ids) == 0 {
			chosen = map[string]any{"owner": *owner}
		}
		if *wait != "" {
			path += "?" + url.Values{"wait": {*wait}}.Encode()
		}
		err := ask(a, http.MethodPost, path, chosen, func(w io.Writer, answer T) {
			ids, gateways := ended(answer)
			printEnded(w, do+"d", ids, gateways)
		})
		if do == "delete" && len(ids) > 0 { // which are unknown then
			return err
		}
		return howFar(a.ctx(), err, "before the server has answered, which finishes what it has begun")
	})
}

// printEnded says which tokens have ended, and who knows.
func printEnded(w io.Writer, how string, ids []string, g rest.Gateways) {
	for _, id := range ids {
		fmt.Fprintf(w, "%s %s\n", how, id)
	}
	if len(ids) == 0 {
		fmt.Fprintf(w, "no tokens were %s\n", how)
		return
	}
	if g.Unknown {
		fmt.Fprintln(w, "acknowledged by this gateway; the others can't be asked: the store doesn't answer")
		return
	}
	fmt.Fprintf(w, "acknowledged by %d of %s\n", g.Acknowledged, counted(g.Acknowledged+g.Pending, "gateway"))
}

func tokenVerifyCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "verify",
		Short: "Show the token of a secret read from standard input",
		Long: `Reads a secret from standard input, without showing it, and prints its token. It
also prints a token that has expired or was revoked: see its status. The secret
may have the word Bearer before it.`,
		Example: `  patgate token verify
  patgate token verify --json < secret.txt | jq -r .status`,
		Args: wantArgs(),
	}, func(a *asking, _ []string) error {
		secret, err := readSecret(a.cmd)
		if err != nil {
			return err
		}
		return ask(a, http.MethodPost, apiPath("verify"), verification{secret}, printToken)
	})
}

// grantFlags are the flags that say what may be done.
type grantFlags struct {
	cmd                       *cobra.Command
	scopes, spaces, resources []string
	allSpaces, full           bool
	more                      []string
}

func newGrantFlags(cmd *cobra.Command) *grantFlags {
	f := &grantFlags{cmd: cmd}
	cmd.Flags().StringArrayVar(&f.scopes, "scope", nil, "`SCOPE`, or a pattern such as stories:* (repeatable)")
	cmd.Flags().StringArrayVar(&f.spaces, "space", nil, "`ID` of a space in which the scopes apply (repeatable)")
	cmd.Flags().BoolVar(&f.allSpaces, "all-spaces", false, "the scopes apply in all spaces")
	cmd.Flags().StringArrayVar(&f.resources, "resource", nil, "`ID` of a resource to which the scopes are limited (repeatable)")
	cmd.Flags().StringArrayVar(&f.more, "grant", nil, "a further `GRANT`, as JSON (repeatable)")
	cmd.Flags().BoolVar(&f.full, "full", false, "everything: all scopes, in all spaces, on all resources")
	return f
}

// read returns the grants that the flags say, or that it is all of them.
func (f *grantFlags) read() (grants []token.Grant, full bool, err error) {
	if err := oneOf(f.cmd, "space", "all-spaces"); err != nil {
		return nil, false, err
	}
	if err := notWithFull(f.cmd, "scope", "space", "all-spaces", "resource", "grant"); err != nil {
		return nil, false, err
	}
	if len(given(f.cmd, "scope", "space", "all-spaces", "resource")) > 0 {
		g := token.Grant{Spaces: f.spaces, Scopes: f.scopes, Resources: f.resources}
		if f.allSpaces {
			g.Spaces = []string{token.All}
		}
		grants = append(grants, g)
	}
	for _, text := range f.more {
		g, err := parseGrant("--grant", text)
		if err != nil {
			return nil, false, err
		}
		grants = append(grants, g)
	}
	return grants, f.full, nil
}

// parseGrant reads the JSON of a grant that a flag gives.
func parseGrant(flag, text string) (g token.Grant, err error) {
	if err := registry.Decode([]byte(text), &g); err != nil {
		return g, usageErrorf(`%s: %w; want {"spaces":[…],"scopes":[…],"resources":[…]}`, flag, err)
	}
	return g, nil
}

// lifetimeFlags are the flags that say how long a secret lives.
type lifetimeFlags struct {
	cmd      *cobra.Command
	in, at   string
	noExpiry bool
}

func newLifetimeFlags(cmd *cobra.Command) *lifetimeFlags {
	f := &lifetimeFlags{cmd: cmd}
	cmd.Flags().Var(aWhile.in(&f.in), "expires-in", "`DURATION` for which the secret is valid, as in 30d or 12h (default: as configured)")
	cmd.Flags().Var(aTime.in(&f.at), "expires-at", "`TIME` at which it expires, as in 2027-01-31 (when the day begins, in UTC) or 2027-01-31T12:00:00Z")
	cmd.Flags().BoolVar(&f.noExpiry, "no-expiry", false, "never expires, if the configuration allows it")
	return f
}

func (f *lifetimeFlags) read() (registry.Lifetime, error) {
	if err := oneOf(f.cmd, "expires-in", "expires-at", "no-expiry"); err != nil {
		return registry.Lifetime{}, err
	}
	return registry.Lifetime{
		ExpiresIn: changed(f.cmd, "expires-in", &f.in), ExpiresAt: changed(f.cmd, "expires-at", &f.at), NoExpiry: f.noExpiry,
	}, nil
}
