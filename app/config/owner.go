package config

import (
	"errors"
	"fmt"
	"io/fs"

	"culvert/backend/tunnel"
)

// OwnerKey reads this installation's owner key, or makes it. However many
// processes ask for the first time at once, all get the same one. A damaged key
// is an error: a new one in its place would give this installation's names away.
func (d *Dir) OwnerKey() (tunnel.OwnerKey, error) {
	key, err := d.readOwnerKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	err = d.locked(func() error {
		if key, err = d.readOwnerKey(); !errors.Is(err, fs.ErrNotExist) {
			return err // another process was faster
		}
		if key, err = tunnel.NewOwnerKey(); err != nil {
			return err
		}
		text, err := key.MarshalText()
		if err != nil {
			return err
		}
		if err := WriteFile(d.file(ownerFile), text); err != nil {
			return fmt.Errorf("writing the owner key: %w", err)
		}
		return nil
	})
	if err != nil {
		return tunnel.OwnerKey{}, err
	}
	return key, nil
}

func (d *Dir) readOwnerKey() (tunnel.OwnerKey, error) {
	path := d.file(ownerFile)
	text, err := readBounded(path)
	if err != nil {
		return tunnel.OwnerKey{}, fmt.Errorf("reading the owner key: %w", err)
	}
	key, err := tunnel.ParseOwnerKey(text)
	if err != nil {
		return tunnel.OwnerKey{}, fmt.Errorf("the owner key %s is damaged (%w): restore it, or remove it and lose the tunnel names that belong to it", path, err)
	}
	return key, nil
}
