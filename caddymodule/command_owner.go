package caddymodule

import "github.com/spf13/cobra"

func ownerCommand() *cobra.Command {
	return &cobra.Command{Use: "owner", Short: "Enable, disable and limit the owners of tokens"}
}
