package config

import (
	"errors"
	"io/fs"
	"syscall"
)

// IsReadOnly reports whether err says that something may not be written, which is
// usual where the folder is a mounted secret, or the container's disk is read-only.
func IsReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}
