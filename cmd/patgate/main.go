// Command patgate is Caddy with the patgate gate built in.
package main

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/patgate/patgate/caddymodule"
)

func main() {
	caddy.CustomBinaryName = "patgate"
	caddymodule.RegisterCommands()
	caddycmd.Main()
}
