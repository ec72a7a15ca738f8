//go:build !unix

package redistest

import "syscall"

// No signal does that here: tests that freeze a server fail.
const stop, goOn = syscall.Signal(0), syscall.Signal(0)
