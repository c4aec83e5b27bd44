//go:build !unix

package runtime

import (
	"io/fs"
	"os"
	"syscall"
)

func executable(fs.FileInfo) bool { return true }

func sysProcAttr() *syscall.SysProcAttr { return nil }

func freeze(*os.Process)      {}
func thaw(*os.Process)        {}
func terminate(p *os.Process) { p.Kill() }
func kill(p *os.Process)      { p.Kill() }
