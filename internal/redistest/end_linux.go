package redistest

import (
	"os/exec"
	"syscall"
)

// EndWithTest has the process end when the test's own does, however that ends.
func EndWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
