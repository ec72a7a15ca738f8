// Command patgate is Caddy with the patgate gate built in.
package main

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/patgate/patgate/caddymodule"
	"github.com/patgate/patgate/internal/spelling"
	"github.com/patgate/patgate/token"
)

// gcPercent lets the heap of a gateway, which is small and made of short-lived
// requests, grow further than Go's default of 100 before it is collected: fewer
// collections for some tens of megabytes. GOGC in the environment overrides it,
// and Caddy's memory limit, from GOMEMLIMIT or the cgroup, bounds it.
const gcPercent = 400

const longDescription = `patgate is Caddy with a gate for personal access tokens built in: it gives an
existing HTTP API tokens that are limited to scopes and spaces, that expire, and
that can be revoked at once.

	$ patgate demo                       the gate at work, with nothing to set up
	$ patgate run --config Caddyfile     in front of an API, until interrupted
	$ patgate policy check               what a Caddyfile says, before it is run
	$ patgate token create --help        tokens of the running server

What isn't patgate's own (run, start, stop, reload, adapt, validate and others) is
Caddy's, and so are the examples below: patgate stands for caddy in them.
`

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	caddy.CustomBinaryName = "patgate"
	caddy.CustomLongDescription = longDescription
	caddy.CustomVersion = "patgate " + caddymodule.Version() + ", Caddy"
	caddymodule.RegisterCommands()
	if len(os.Args) > 1 && slices.Contains(ofCaddysBuilds, os.Args[1]) {
		fmt.Fprintf(os.Stderr, "patgate %s: only Caddy's own builds are replaced this way: put the new patgate in the place of the old one, or build it with what you need by xcaddy\n", os.Args[1])
		os.Exit(1)
	}
	if name := unknownCommand(os.Args[1:]); name != "" {
		fmt.Fprintf(os.Stderr, "patgate %s: there is no such command%s (see patgate --help)\n", token.Masked(name),
			spelling.Suggest(name, slices.Sorted(maps.Keys(caddycmd.Commands()))))
		os.Exit(2)
	}
	caddycmd.Main()
}

// ofCaddysBuilds are commands that replace the program by one from Caddy's download
// page, which has no patgate in it.
var ofCaddysBuilds = []string{"upgrade", "add-package", "remove-package"}

// unknownCommand returns the first argument if it is to be a command and none has
// its name, or "". Caddy's own answer to that has several lines, and exit status 1.
func unknownCommand(args []string) string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[0], "__complete") {
		return ""
	}
	_, known := caddycmd.Commands()[args[0]]
	if known || slices.Contains([]string{"completion", "help", "manpage"}, args[0]) { // these Caddy adds elsewhere
		return ""
	}
	return args[0]
}
