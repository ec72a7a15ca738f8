package embedded

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Where a file can't be locked, as on some network file systems, the error says so.
func TestFileWithoutLocks(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open(t.TempDir(), unix.O_PATH, 0) // which takes no locks
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "tokens.db")
	defer f.Close()
	if err := lockUncached(f, time.Second); !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), "it can't be locked: ") {
		t.Errorf("lockUncached: %v, want that it can't be locked", err)
	}
}
