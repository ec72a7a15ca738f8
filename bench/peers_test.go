//go:build linux

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every peer that is installed answers as it is to, those that are missing are
// named, and nothing is left behind.
func TestPeers(t *testing.T) {
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var out strings.Builder
	if err := run(t.Context(), options{quick: true, binary: binary, peers: true, rounds: 1, duration: 1, tokens: 100, connections: 8, redisTokens: 1}, &out); err != nil {
		t.Fatal(err)
	}
	needs := map[string]string{
		"plain Caddy": "", "Caddy forward_auth, Go service on Redis": "redis-server", "the same, tokens held for a minute": "redis-server",
		"HAProxy with a map": "haproxy",
	}
	for peer, program := range needs {
		want := 4 // three scenarios, and its memory
		if _, err := exec.LookPath(program); program != "" && err != nil {
			want = 1 // it is skipped
		}
		if got := strings.Count(out.String(), "\n"+peer+" ") + strings.Count(out.String(), "skipped: "+peer); got != want {
			t.Errorf("%s is in %d lines, want %d:\n%s", peer, got, want, &out)
		}
	}
	if !strings.Contains(out.String(), "nginx, Lua, shared dict, Redis") || !strings.Contains(out.String(), "\npatgate, ") {
		t.Errorf("nginx or patgate is missing:\n%s", &out)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
