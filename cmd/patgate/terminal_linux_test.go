package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/patgate/patgate/internal/output"
	"github.com/patgate/patgate/internal/pty"
	"github.com/patgate/patgate/internal/redistest"
)

// Who is asked for a secret at a terminal is told how to get away: Ctrl-D doesn't.
func TestSecretPrompt(t *testing.T) {
	t.Parallel()
	people, programs := pty.Open(t)
	cmd := newPlace(t).command(t.Context(), "token", "verify")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = programs, programs, programs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var shown output.Buffer
	go func() {
		for buf := make([]byte, 1<<10); ; {
			n, err := people.Read(buf)
			if err != nil {
				return
			}
			shown.Write(buf[:n])
		}
	}()
	await := func(words string) {
		t.Helper()
		redistest.Await(t, words, func() error {
			if !strings.Contains(shown.String(), words) {
				return fmt.Errorf("shown: %q", shown.String())
			}
			return nil
		})
	}
	await("Ctrl-C")
	if _, err := people.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // the exit status says how it ended
	await("patgate token verify: interrupted")
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v, shown: %q", cmd.ProcessState, shown.String())
	}
}
