//go:build linux

package main

import (
	"errors"
	"regexp"
	"testing"
)

// It works, with eight gateways, and leaves nothing behind.
func TestScale(t *testing.T) {
	out, err := quick(t, measureScale)
	if errors.Is(err, errNoRedis) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`1000 +\S+s +\d+ +\d+\.\d +\S+s +\S+s +\d+\.\d\d +\d+\.\d\d +\S+s`, `8 +\d+ +\d+ +-?\d+ +-?\d+ +\S+s +\S+s`, `1000 gateways, by calculation `} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(out) {
			t.Errorf("no line like %s:\n%s", line, out)
		}
	}
}
