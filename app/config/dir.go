// Package config is the folder that an installation keeps: the config file that
// a person writes, this installation's owner key, and what the programs remember.
//
// Several processes share the folder at any time. Everything that is written is
// written to a temporary file first, under one lock, and then renamed, so that no
// reader ever sees half a file and a crash leaves the old one or the new one. The
// config file is a person's: of that, only what is to change is changed.
package config

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// The files in the folder.
const (
	configFile = "config.toml"
	ownerFile  = "owner.key"
	stateFile  = "state.toml"
	lockFile   = "culvert.lock"
)

// maxFile bounds what is read of any file, in bytes.
const maxFile = 1 << 20

// Dir is the config folder. Its methods may be called by any goroutine.
type Dir struct {
	path string
	lock *lockedfile.Mutex
}

// Open makes sure that the folder is there, readable by its owner only when it
// has to be made. With path "" it is the user's default: the system's folder for
// configuration, and culvert in it.
func Open(path string) (*Dir, error) {
	if path == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("finding the config folder: %w: name one with --config", err)
		}
		path = filepath.Join(base, "culvert")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the config folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the config folder: %w: name another one with --config", err)
	}
	return &Dir{path: path, lock: lockedfile.MutexAt(filepath.Join(path, lockFile))}, nil
}

// Path is the folder's absolute path.
func (d *Dir) Path() string { return d.path }

// ConfigFile is the path of the config file, which need not exist.
func (d *Dir) ConfigFile() string { return d.file(configFile) }

// RelayState is the folder in which `culvert relay` keeps its state.
func (d *Dir) RelayState() string { return d.file("relay") }

// BuiltInState is the same for the relays that are built into agents. They have a
// key and reservations of their own: their tunnels are no business of a relay
// that runs for others.
func (d *Dir) BuiltInState() string { return d.file("builtin-relay") }

func (d *Dir) file(name string) string { return filepath.Join(d.path, name) }

// locked runs f while no other process, and no other goroutine, does.
func (d *Dir) locked(f func() error) error {
	unlock, err := d.lock.Lock()
	if err != nil {
		return fmt.Errorf("locking the config folder: %w", err)
	}
	defer unlock()
	return f()
}

// WriteFile replaces the file at path, readable by its owner only: whoever reads it
// meanwhile, or after a crash, finds the old text or the new one.
func WriteFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // a second time does no harm
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(text); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
