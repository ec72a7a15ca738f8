// Package mutation tests tests: it takes a piece of the code out and expects a
// test to notice. It is for properties that seem to hold without any code for them: the
// reason for each such piece is a test that fails without it.
//
// The code itself stays as it is. The go command is given the changed file in
// the place of the real one (go help build, -overlay).
package mutation

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Run has the mutants built and tested, which takes minutes. Without it only the
// places that they change are looked for.
var Run = flag.Bool("mutants", false, "build and test each mutant: minutes")

// Mutant is a change of one file, and the tests that must notice it.
type Mutant struct {
	Name string // what is taken out
	File string // relative to the test's directory
	Old  string // the code that is replaced; it must be there once
	New  string // what replaces it; it must compile
	Run  string // the tests, as for go test -run; there must be one that passes without the change
}

// limit is how long the tests of a mutant may take. Some hang; without the change all end
// well before, also on a busy machine.
const limit = 45 * time.Second

// Caught runs the tests of the package in the current directory on each mutant,
// and fails where they pass.
func Caught(t *testing.T, mutants []Mutant) {
	t.Helper()
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			overlay := Overlay(t, m)
			if !*Run {
				return
			}
			t.Parallel()
			out, err := goTest(t, m, overlay)
			switch failed := bytes.Contains(out, []byte("--- FAIL")) || bytes.Contains(out, []byte("panic: test timed out")); {
			case err == nil:
				t.Errorf("%s passes without it:\n%s", m.Run, out)
			case !failed:
				t.Errorf("the mutant doesn't run: %v\n%s", err, out)
			}
		})
	}
}

func goTest(t *testing.T, m Mutant, overlay string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-count=1", "-failfast", "-timeout", limit.String(),
		"-overlay", overlay, "-run", m.Run, ".")
	return cmd.CombinedOutput()
}

// Overlay writes the changed file and returns the argument that has the go
// command take it. It fails where the code has changed.
func Overlay(t *testing.T, m Mutant) string {
	t.Helper()
	file, err := filepath.Abs(m.File)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(m.Old)); n != 1 {
		t.Fatalf("%s has %d times %q, want it once", m.File, n, m.Old)
	}
	dir := t.TempDir()
	mutant := filepath.Join(dir, filepath.Base(file))
	overlay := filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{file: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{mutant: bytes.Replace(text, []byte(m.Old), []byte(m.New), 1), overlay: replace} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}
