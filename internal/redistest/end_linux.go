package redistest

import (
	"os/exec"
	"syscall"
)

// EndWithTest makes the process end when the test's own does, however that ends.
func EndWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
