// Package test drives the built binary from outside, as an operator, a client
// and an attacker would: patgate run with a Caddyfile, raw connections to it, an
// upstream that records every byte it gets, and what comes out in answers, logs
// and metrics.
package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	_ "github.com/patgate/patgate/caddymodule" // so that go test runs again when the binary changes
)

// binary is the built patgate.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "patgate")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "patgate")
	args := []string{"build", "-tags", "nobadger,nomysql,nopgx", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "../cmd/patgate")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building patgate:", err)
		return 1
	}
	return m.Run()
}
