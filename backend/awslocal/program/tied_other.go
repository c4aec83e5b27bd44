//go:build !linux

package program

import "os/exec"

// Tied says that StartTied does what its name says.
const Tied = false

// StartTied starts a program. Only Linux can tie its life to ours: elsewhere a
// program that is killed leaves it behind.
func StartTied(cmd *exec.Cmd) error { return cmd.Start() }
