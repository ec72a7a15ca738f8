//go:build linux

package main

import (
	"strings"
	"testing"
)

// The measurement of a flood works. What it measures here means nothing.
func TestFlood(t *testing.T) {
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(t.Context(), options{quick: true, flood: true, rounds: 1, duration: 1, tokens: 100, connections: 8, redisTokens: 1, binary: binary}, &out); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"plain Caddy, told what is garbage", "patgate", "0 held tokens were pushed out"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the report doesn't say %q:\n%s", text, &out)
		}
	}
}
