// Command patgate is Caddy with the patgate gate built in.
package main

import (
	"os"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/patgate/patgate/caddymodule"
)

// gcPercent lets the heap of a gateway, which is small and made of short-lived
// requests, grow further than Go's default of 100 before it is collected: fewer
// collections for some tens of megabytes. GOGC in the environment overrides it,
// and Caddy's memory limit, from GOMEMLIMIT or the cgroup, bounds it.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	caddy.CustomBinaryName = "patgate"
	caddymodule.RegisterCommands()
	caddycmd.Main()
}
