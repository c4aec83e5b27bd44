//go:build unix && !linux

package runtime

import "syscall"

// sysProcAttr puts an environment's processes into a group of their own, so that they
// are frozen and killed together.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
