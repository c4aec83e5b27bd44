package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

// IsReadOnly reports whether err says that something may not be written, which is
// usual where the folder is a mounted secret, or the container's disk is read-only.
func IsReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// readableByOthers are the permissions that no secret should give.
const readableByOthers = 0o077

// LooseMode is a warning about a file with a secret that others on this machine
// can read, or "".
func LooseMode(path string) string {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&readableByOthers == 0 {
		return ""
	}
	return fmt.Sprintf("other users of this machine can read %s (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
}

// ProtectOwnerKey takes the owner key away from others on this machine who can
// read it, and gives a notice about that, or "". Refusing the key would be too
// much: in a mounted secret it is often readable by design, and cannot be changed.
func (d *Dir) ProtectOwnerKey() (notice string) {
	path := d.file(ownerFile)
	loose := LooseMode(path)
	if loose == "" {
		return ""
	}
	if os.Chmod(path, 0o600) != nil {
		return loose
	}
	return fmt.Sprintf("other users of this machine could read the owner key %s, which proves whose your tunnel names are: its mode is 0600 now", path)
}
