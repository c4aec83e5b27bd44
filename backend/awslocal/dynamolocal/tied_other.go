//go:build !linux

package dynamolocal

import "os/exec"

// tied says that startTied does what its name says.
const tied = false

// startTied starts a program. Only Linux can tie its life to ours: elsewhere a
// program that is killed leaves it behind.
func startTied(cmd *exec.Cmd) error { return cmd.Start() }
