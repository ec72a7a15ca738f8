//go:build linux

package main

import (
	"strings"
	"testing"
)

// Every setting can be undone, and patgate serves without it.
func TestSettings(t *testing.T) {
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(t.Context(), options{quick: true, settings: true, binary: binary, rounds: 1, duration: 1, tokens: 100, connections: 8, redisTokens: 1}, &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"as Caddyfile.example has it", "GOGC=100", "transport http", "format json", "both, Caddy's own"} {
		if got := strings.Count(out.String(), "\n"+name); got != 4 { // three scenarios, and its memory
			t.Errorf("%s is in %d lines, want 4:\n%s", name, got, &out)
		}
	}
}
