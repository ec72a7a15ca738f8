//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	if serveRole() {
		return
	}
	code := m.Run()
	os.RemoveAll(builtIn)
	os.Exit(code)
}

var builtIn string // the directory of the patgate that was built, or ""

// built builds patgate once for the tests that measure with it.
var built = sync.OnceValues(func() (binary string, err error) {
	if builtIn, err = os.MkdirTemp("", "patgate-bench-test-"); err != nil {
		return "", err
	}
	binary = filepath.Join(builtIn, "patgate")
	return binary, build(context.Background(), patgateCommand, binary)
})

// The tool works: every answer in every scenario is the one expected, and
// nothing is left behind. What it measures here means nothing.
func TestQuick(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var out strings.Builder
	if err := run(t.Context(), options{quick: true, rounds: 1, duration: 1, tokens: 100, connections: 8}, &out); err != nil {
		t.Fatal(err)
	}
	for _, s := range newWorkload(100).scenarios() {
		if n := strings.Count(out.String(), s.name); n != 2 {
			t.Errorf("the report has %d lines on %q, want 2:\n%s", n, s.name, &out)
		}
	}
	want := []string{"forwarded from Redis, 100 tokens", "100 tokens at once", "100 revocations", "still served", "Memory of Redis per token"}
	if _, err := exec.LookPath("redis-server"); err != nil {
		want = []string{"redis-server is not installed: the figures with Redis are left out"}
	}
	for _, text := range want {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the report doesn't say %q:\n%s", text, &out)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
