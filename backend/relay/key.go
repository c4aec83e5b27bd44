package relay

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"

	"culvert/backend/tunnel"
)

// The files in the state folder.
const (
	keyFile          = "relay.key"
	reservationsFile = "reservations.json"
	lockFile         = "relay.lock"
)

// stateDir is the folder that outlives the process. Several relays may share it
// (every command that starts a built-in one does), so all that is written is
// written under its lock.
type stateDir struct {
	path string
	lock *lockedfile.Mutex
}

func openStateDir(path string) (*stateDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the relay's state folder: %w", err)
	}
	return &stateDir{path: path, lock: lockedfile.MutexAt(filepath.Join(path, lockFile))}, nil
}

func (d *stateDir) file(name string) string { return filepath.Join(d.path, name) }

// signingKey reads the key of the resume secrets, or makes it. A damaged key is an
// error: a new one in its place would take every agent's URL away.
func (d *stateDir) signingKey() ([]byte, error) {
	unlock, err := d.lock.Lock()
	if err != nil {
		return nil, fmt.Errorf("locking the relay's state folder: %w", err)
	}
	defer unlock()
	path := d.file(keyFile)
	text, err := readBounded(path, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		key := newSigningKey()
		text := base64.RawStdEncoding.EncodeToString(key) + "\n"
		if err := writeAtomically(path, []byte(text)); err != nil {
			return nil, fmt.Errorf("writing the relay's signing key: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the relay's signing key: %w", err)
	}
	key, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != tunnel.ResumeKeySize {
		return nil, fmt.Errorf("the relay's signing key %s is damaged: restore it, or remove it, and then agents get new URLs", path)
	}
	return key, nil
}

func newSigningKey() []byte {
	key := make([]byte, tunnel.ResumeKeySize)
	rand.Read(key) // never fails since Go 1.24
	return key
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return text, err
}

// writeAtomically replaces the file at path, readable by its owner only. After a
// crash at any moment the file is the old one or the new one.
func writeAtomically(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
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
