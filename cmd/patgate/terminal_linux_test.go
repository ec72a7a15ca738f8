package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patgate/patgate/internal/output"
	"github.com/patgate/patgate/internal/redistest"
)

// terminal returns both ends of a new terminal: the one that people are at, and that of
// programs.
func terminal(t *testing.T) (people, programs *os.File) {
	t.Helper()
	people, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { people.Close() })
	fd := int(people.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		programs, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { programs.Close() })
	return people, programs
}

// Who is asked for a secret at a terminal is told how to get away: Ctrl-D doesn't.
func TestSecretPrompt(t *testing.T) {
	t.Parallel()
	people, programs := terminal(t)
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
