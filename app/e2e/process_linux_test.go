package e2e

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the program when the test binary dies,
// however it dies.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
