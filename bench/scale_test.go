//go:build linux

package main

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// It works, with eight gateways, and leaves nothing behind.
func TestScale(t *testing.T) {
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	var out strings.Builder
	err = run(t.Context(), options{quick: true, binary: binary, scale: true, rounds: 1, duration: 1, tokens: 1, connections: 1, redisTokens: 1}, &out)
	if errors.Is(err, errNoRedis) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`1000 +\S+s +\d+ +\d+\.\d +\S+s +\S+s +\d+\.\d\d +\d+\.\d\d +\S+s`, `8 +\d+ +\d+ +-?\d+ +-?\d+ +\S+s +\S+s`, `1000 gateways, by calculation `} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(out.String()) {
			t.Errorf("no line like %s:\n%s", line, &out)
		}
	}
}
