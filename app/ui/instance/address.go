package instance

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// maxAddress is how long a socket's path may be everywhere: 104 bytes on macOS,
// 108 on Linux and Windows, with the zero at the end.
const maxAddress = 103

// address returns the name under which to reach the folder's socket. A path that is
// too long for the kernel is shortened through an open folder on Linux, where
// /proc/self/fd leads to it; release closes that folder again.
func address(dir string) (addr string, release func(), err error) {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxAddress {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("the path %s is too long for a socket (%d bytes at most); choose a shorter config folder with --config", path, maxAddress)
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), socketName), func() { f.Close() }, nil
}
