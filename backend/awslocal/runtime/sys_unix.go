//go:build unix

package runtime

import (
	"io/fs"
	"os"
	"syscall"
)

func executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }

// Every signal goes to the group. It may be gone: then there is nobody to signal.

func freeze(p *os.Process)    { syscall.Kill(-p.Pid, syscall.SIGSTOP) }
func thaw(p *os.Process)      { syscall.Kill(-p.Pid, syscall.SIGCONT) }
func terminate(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGTERM) }
func kill(p *os.Process)      { syscall.Kill(-p.Pid, syscall.SIGKILL) }
