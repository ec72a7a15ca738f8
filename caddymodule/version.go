package caddymodule

import "runtime/debug"

// Version returns the version of patgate that this program is built of, as
// (devel) or unknown where Go doesn't say.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == "github.com/patgate/patgate" {
			return m.Version
		}
	}
	return "unknown"
}
