package caddymodule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--owner OWNER] [--status STATUS] [--space ID] [--scope SCOPE] [--text TEXT] [--expiring DURATION] [--unused DURATION] [--sort ORDER] [--limit N] [--cursor CURSOR]",
		Short: "List tokens",
		Long: `Lists the tokens that meet all given conditions, newest first unless --sort is
given: all of them, or with --limit one page and the cursor of the next.

--space and --scope find tokens with a grant that covers them, as the gate does: a
scope that implies the given one is enough. --expiring and --unused find active
tokens, unless --status is given.

"Newest" is by id: ids begin with the time at which they were made. So an imported
token is listed by its id, whatever its created_at.`,
		Example: `  patgate token list
  patgate token list --owner alice --status active
  patgate token list --space 1 --scope stories:write --json | jq -r '.tokens[].id'
  patgate token list --expiring 14d --sort expires
  patgate token list --unused 90d --json | jq -r '.tokens[].id' | xargs -r patgate token revoke
  patgate token list --limit 50 --cursor Y3JlYXRlZAAwMWtibjRteGtwejh0MnJ3eTNjNXE3ZDllZgA`,
		Args: wantArgs(),
	}
	flags := cmd.Flags()
	flags.String("owner", "", "only tokens of this `OWNER`")
	status := flags.String("status", "all", "only tokens with this `STATUS`: active, expired, revoked, or all")
	flags.String("space", "", "only tokens for the space with this `ID`")
	flags.String("scope", "", "only tokens with this `SCOPE`")
	flags.String("text", "", "only tokens with this `TEXT` in their name, description, owner or id, or as their hint, whatever the case")
	flags.Var(aWhile.in(new(string)), "expiring", "only tokens that expire within this `DURATION`, as in 14d")
	flags.Var(aWhile.in(new(string)), "unused", "only tokens that were neither made nor used for this `DURATION`, as in 30d")
	sort := flags.String("sort", registry.SortCreated, "the `ORDER`: "+strings.Join(registry.Sorts(), ", ")+"; - before it reverses the order")
	complete(cmd, "status", statuses)
	complete(cmd, "sort", registry.Sorts())
	limit := flags.Int("limit", 0, fmt.Sprintf("one page of at most `N` tokens, up to %d", registry.MaxLimit))
	flags.String("cursor", "", "`CURSOR` at the end of the previous page")
	return askingCommand(cmd, func(a *asking, _ []string) error {
		if !slices.Contains(statuses, *status) {
			return usageErrorf("--status %q: want active, expired, revoked or all", *status)
		}
		if !slices.Contains(registry.Sorts(), strings.TrimPrefix(*sort, "-")) {
			return usageErrorf("--sort %s: want %s, perhaps with a - before it", *sort, strings.Join(registry.Sorts(), ", "))
		}
		query, err := pageQuery(cmd, *limit, "owner", "status", "space", "scope", "text", "expiring", "unused", "sort", "cursor")
		if err != nil {
			return err
		}
		header := []string{"ID", "NAME", "OWNER", "STATUS", "EXPIRES", "USED", "HINT", "GRANTS"}
		grants := a.grantsColumn()
		return list(a, "tokens", query, header, func(t token.View) []string {
			now := time.Now()
			return []string{t.ID, t.Name, t.Owner, string(t.Status), away(t.ExpiresAt, now), away(t.LastUsedAt, now), t.Hint, grants(t.Grants)}
		})
	})
}

// statuses are what --status takes.
var statuses = []string{string(token.Active), string(token.Expired), string(token.Revoked), "all"}
