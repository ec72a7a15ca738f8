package caddymodule

import "github.com/spf13/cobra"

func tokenCommand() *cobra.Command {
	return &cobra.Command{Use: "token", Short: "Make, list, change and revoke tokens"}
}
