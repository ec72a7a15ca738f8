package caddymodule

import "github.com/spf13/cobra"

func statusCommand() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show the store, the gateways and the cache"}
}
