package caddymodule

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/token"
)

// secretPattern is the answer to token pattern.
type secretPattern struct {
	Prefix  string `json:"prefix"`
	Pattern string `json:"pattern"`
}

func tokenPatternCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pattern [--prefix PREFIX | --config FILE]",
		Short: "Print the regular expression that finds secrets in texts",
		Long: `Prints a regular expression with which secret scanners find patgate's secrets. The
prefix is the given one, that of the configuration file, or else the default. A
scanner can report what it finds to the console's /leaked.`,
		Example: `  patgate token pattern
  patgate token pattern --config Caddyfile --json | jq -r .pattern
  git grep -P "$(patgate token pattern)"`,
		Args: wantArgs(),
	}
	flags := cmd.Flags()
	prefix := flags.String("prefix", "", "`PREFIX` of the secrets (default: "+defaultPrefix+")")
	file := flags.StringP("config", "c", "", "configuration `FILE` with the prefix")
	adapter := flags.StringP("adapter", "a", "", "`NAME` of the config adapter for that file")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		if err := oneOf(cmd, "prefix", "config"); err != nil {
			return err
		}
		if *file != "" {
			c, err := readConfiguration(*file, *adapter, cmd.InOrStdin())
			if err != nil {
				return err
			}
			*prefix = c.app.rules.Prefix
		}
		*prefix = cmp.Or(*prefix, defaultPrefix)
		if err := token.ValidPrefix(*prefix); err != nil {
			return usageError(err)
		}
		return printAnswer(cmd, *asJSON, secretPattern{*prefix, token.Pattern(*prefix)}, func(w io.Writer, p secretPattern) {
			fmt.Fprintln(w, p.Pattern)
		})
	})
	return cmd
}
