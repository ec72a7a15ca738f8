package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func ownerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "owner",
		Short: "Enable, disable and limit the owners of tokens",
		Long: `Commands that manage the records of owners. An owner needs no record: then the
owner's tokens may do all that their grants say. With a record, they may do no
more than it allows, and nothing while the owner is disabled.`,
		Example: `  patgate owner set alice --scope 'stories:*' --space 1
  patgate owner set bob --disable`,
	}
	cmd.AddCommand(ownerSetCommand(), ownerListCommand(), ownerShowCommand(), ownerDeleteCommand())
	return cmd
}

func ownerSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set ID [--scope SCOPE]... [--space ID]... | --full [--admin] [--enable | --disable] [--may-create=BOOL] [--max-tokens N]",
		Short: "Change an owner's record, or make it",
		Long: `Changes what the flags say, and leaves the rest as it is. If the owner has no
record, it makes one: enabled, not an admin, free to make tokens, without a limit.

--scope and --space limit all of the owner's tokens. --scope replaces the scopes
of the limit, and --space its spaces. What was never limited is all allowed.
--full removes the limit.`,
		Example: `  patgate owner set alice --scope 'stories:*' --space 1 --space 2
  patgate owner set alice --full --admin
  patgate owner set bob --disable
  patgate owner set carol --max-tokens 10 --may-create=false`,
		Args: wantArgs("ID"),
	}
	scopes := cmd.Flags().StringArray("scope", nil, "`SCOPE` the owner's tokens may have, or a pattern such as stories:* (repeatable)")
	spaces := cmd.Flags().StringArray("space", nil, "`ID` of a space in which they may be used; '*': all (repeatable)")
	full := cmd.Flags().Bool("full", false, "no limit: all scopes, in all spaces, on all resources")
	admin := cmd.Flags().Bool("admin", false, "the owner sees and revokes everybody's tokens; --admin=false: no longer")
	mayCreate := cmd.Flags().Bool("may-create", true, "the owner may make tokens; --may-create=false: only operators may make tokens for the owner, or extend their grants")
	maxTokens := cmd.Flags().Int("max-tokens", 0, "the owner may have at most `N` tokens, revoked and expired ones included; 0: any number")
	enable := cmd.Flags().Bool("enable", false, "the owner's tokens work")
	disable := cmd.Flags().Bool("disable", false, "none of the owner's tokens work")
	return askingCommand(cmd, func(a *asking, args []string) error {
		if *maxTokens < 0 {
			return usageErrorf("--max-tokens %d: want a number from 0", *maxTokens)
		}
		changes := registry.OwnerChanges{
			Enabled: changed(cmd, "enable", enable),
			Admin:   changed(cmd, "admin", admin), MayCreate: changed(cmd, "may-create", mayCreate), MaxTokens: changed(cmd, "max-tokens", maxTokens),
		}
		if cmd.Flags().Changed("disable") {
			if changes.Enabled != nil {
				return usageErrorf("--enable and --disable contradict each other: give one")
			}
			changes.Enabled = new(!*disable)
		}
		changes.Scopes, changes.Spaces, changes.Full = changed(cmd, "scope", scopes), changed(cmd, "space", spaces), *full
		if err := notWithFull(cmd, "scope", "space"); err != nil {
			return err
		}
		return ask(a, http.MethodPut, apiPath("owners", args[0]), changes, func(w io.Writer, set ownerSet) {
			printOwner(w, set.Owner)
			a.note(set.Warnings)
		})
	})
}

func ownerListCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "list",
		Short: "List the owners that have a record",
		Example: `  patgate owner list
  patgate owner list --json | jq -r '.owners[] | select(.enabled | not) | .id'`,
		Args: wantArgs(),
	}, func(a *asking, _ []string) error {
		header := []string{"ID", "ENABLED", "ADMIN", "LIMITED TO"}
		grants := a.grantsColumn()
		return list(a, "owners", url.Values{}, header, func(o token.Owner) []string {
			return []string{o.ID, yesNo(o.Enabled), yesNo(o.Admin), grants(o.Grants)}
		})
	})
}

func ownerShowCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:     "show ID",
		Short:   "Show an owner's record",
		Example: `  patgate owner show alice`,
		Args:    wantArgs("ID"),
	}, func(a *asking, args []string) error {
		return ask(a, http.MethodGet, apiPath("owners", args[0]), nil, printOwner)
	})
}

func ownerDeleteCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "delete ID",
		Short: "Remove an owner's record, and the limit with it",
		Long: `Deletes an owner's record. The owner's tokens stay, without the limit: those of a
disabled owner work again. "token revoke --owner" ends them.`,
		Example: `  patgate owner delete alice`,
		Args:    wantArgs("ID"),
	}, func(a *asking, args []string) error {
		return ask(a, http.MethodDelete, apiPath("owners", args[0]), nil, func(w io.Writer, _ rest.Deletion) {
			fmt.Fprintf(w, "deleted the record of owner %s\n", args[0])
		})
	})
}
