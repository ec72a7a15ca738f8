//go:build unix

package redistest

import "syscall"

// stop stops a process where it is, and goOn lets it go on.
const stop, goOn = syscall.SIGSTOP, syscall.SIGCONT
