package runtime

import "syscall"

// sysProcAttr puts an environment's processes into a group of their own, so that they
// are frozen and killed together, and has the kernel kill the first one if the stand-in
// dies without a chance to.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
