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

// quick has a measurement made as quickly as can be, and returns what it prints. It
// leaves nothing behind.
func quick(t *testing.T, m measurement) (string, error) {
	t.Helper()
	var binary string // the usual run builds its own
	var err error
	if m != nil {
		if binary, err = built(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var out strings.Builder
	err = run(t.Context(), options{quick: true, measure: m, binary: binary, rounds: 1, duration: 1, tokens: 100, connections: 8, redisTokens: 1}, &out)
	if left, globErr := filepath.Glob(filepath.Join(dir, "*")); globErr != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, globErr)
	}
	return out.String(), err
}

// The tool works: every answer in every scenario is the one expected. What it
// measures here means nothing.
func TestQuick(t *testing.T) {
	out, err := quick(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range newWorkload(100).scenarios() {
		if n := strings.Count(out, s.name); n != 2 {
			t.Errorf("the report has %d lines on %q, want 2:\n%s", n, s.name, out)
		}
	}
	want := []string{"forwarded from Redis, 100 tokens", "100 tokens at once", "100 revocations", "still served"}
	if _, err := exec.LookPath("redis-server"); err != nil {
		want = []string{"redis-server is not installed: the figures with Redis are left out"}
	}
	for _, text := range want {
		if !strings.Contains(out, text) {
			t.Errorf("the report doesn't say %q:\n%s", text, out)
		}
	}
}
