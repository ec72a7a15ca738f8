//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package embedded

import (
	"os"
	"syscall"
)

// release lets go of a file that bbolt has locked and can't close any more.
// Closing it alone would not do: the lock stays for as long as the file is
// mapped.
func release(f *os.File) error {
	syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}
