//go:build linux

package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Every peer that is installed answers as it is to, those that are missing are
// named, and nothing is left behind.
func TestPeers(t *testing.T) {
	out, err := quick(t, comparePeers)
	if err != nil {
		t.Fatal(err)
	}
	needs := map[string]string{
		"plain Caddy": "", "Caddy forward_auth, Go service on Redis": "redis-server", "HAProxy with a map": "haproxy",
	}
	for peer, program := range needs {
		want := 4 // three scenarios, and its memory
		if _, err := exec.LookPath(program); program != "" && err != nil {
			want = 1 // it is skipped
		}
		if got := strings.Count(out, "\n"+peer+" ") + strings.Count(out, "skipped: "+peer); got != want {
			t.Errorf("%s is in %d lines, want %d:\n%s", peer, got, want, out)
		}
	}
	if !strings.Contains(out, "nginx, Lua, shared dict, Redis") || !strings.Contains(out, "\npatgate, ") {
		t.Errorf("nginx or patgate is missing:\n%s", out)
	}
}

// Every setting can be undone, and patgate serves without it.
func TestSettings(t *testing.T) {
	out, err := quick(t, compareSettings)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"as Caddyfile.example has it", "GOGC=100", "transport http", "format json", "both, Caddy's own"} {
		if got := strings.Count(out, "\n"+name); got != 4 { // three scenarios, and its memory
			t.Errorf("%s is in %d lines, want 4:\n%s", name, got, out)
		}
	}
}
