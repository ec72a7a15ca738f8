// Package testbinary builds patgate for tests that run it as an operator would.
package testbinary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	_ "github.com/patgate/patgate/caddymodule" // so that go test runs again when the binary changes
)

// Run builds patgate with these flags of go build, sets binary to its path, and
// runs the tests of m. It returns what TestMain exits with.
func Run(m *testing.M, binary *string, flags ...string) int {
	dir, err := os.MkdirTemp("", "patgate")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "patgate")
	// What debuggers want takes a third of the linker's time.
	args := append([]string{"build", "-tags", "nobadger,nomysql,nopgx", "-ldflags=-w", "-o", *binary}, flags...)
	build := exec.Command("go", append(args, "github.com/patgate/patgate/cmd/patgate")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building patgate:", err)
		return 1
	}
	return m.Run()
}
