package program

import (
	"os/exec"
	"syscall"
)

// Tied says that StartTied does what its name says.
const Tied = true

// StartTied starts a program that the kernel ends when this process ends, however
// that happens. It has a process group of its own: Ctrl-C at the terminal is for
// us, who then stop it in order.
func StartTied(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// The signal comes when the thread that started it ends, and Go ends the
	// thread of a goroutine that never unlocked it. This one has no such thread.
	started := make(chan error)
	go func() { started <- cmd.Start() }()
	return <-started
}
