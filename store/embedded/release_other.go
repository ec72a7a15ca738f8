//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package embedded

import "os"

// release lets go of a file that bbolt has locked and can't close any more.
func release(f *os.File) error { return f.Close() }
