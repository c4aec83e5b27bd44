package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/BurntSushi/toml"
)

// State is what the programs remember from one run to the next.
type State struct {
	// BuiltInPorts are ports on which built-in relays have listened, the first
	// choice first: every process that runs at the same time needs one, and keeps
	// its URLs if it gets the same one again.
	BuiltInPorts []int `toml:"builtin_ports"`
	// AllowLAN: the desktop's built-in relay listens to the network around.
	AllowLAN bool `toml:"allow_lan"`
}

// maxPorts bounds State.BuiltInPorts.
const maxPorts = 8

// BrokenStateError says that the state file made no sense and was put aside.
// What was remembered is lost; the state that comes with the error is usable.
type BrokenStateError struct {
	Kept  string // where the file is now; "" if it had to stay where it is
	Cause error
}

func (e *BrokenStateError) Error() string {
	if e.Kept == "" {
		return fmt.Sprintf("what was remembered from earlier runs could not be read: %v", e.Cause)
	}
	return fmt.Sprintf("what was remembered from earlier runs could not be read (%v): the file is kept as %s", e.Cause, e.Kept)
}

func (e *BrokenStateError) Unwrap() error { return e.Cause }

// State reads what is remembered: nothing, if there is no file. Only a file that
// must be put aside needs the lock, so that a folder that cannot be written, such as
// a mounted secret, will do.
func (d *Dir) State() (State, error) {
	var s State
	_, err := d.parseState(&s)
	broken := (*BrokenStateError)(nil)
	if !errors.As(err, &broken) {
		return s, err
	}
	locked := d.locked(func() error {
		_, err = d.readState(&s)
		return err
	})
	if IsReadOnly(locked) {
		return State{}, broken
	}
	return s, locked
}

// UpdateState changes what is remembered while nobody else does, and gives the
// result. Keys that other versions have written survive. A *BrokenStateError
// means that change was nevertheless kept.
func (d *Dir) UpdateState(change func(*State)) (State, error) {
	var s State
	err := d.locked(func() error {
		all, broken := d.readState(&s)
		if aside := (*BrokenStateError)(nil); broken != nil && !errors.As(broken, &aside) {
			return broken
		}
		change(&s)
		s.BuiltInPorts = s.BuiltInPorts[:min(len(s.BuiltInPorts), maxPorts)]
		text, err := encodeState(all, s)
		if err != nil {
			return err
		}
		if err := WriteFile(d.file(stateFile), text); err != nil {
			return fmt.Errorf("writing what is to be remembered: %w", err)
		}
		return broken
	})
	return s, err
}

// RememberPort puts port beside those that are known already.
func (d *Dir) RememberPort(port int) error {
	_, err := d.UpdateState(func(s *State) {
		if !slices.Contains(s.BuiltInPorts, port) {
			// The newest of too many goes: the oldest have the most URLs out there.
			s.BuiltInPorts = append(s.BuiltInPorts[:min(len(s.BuiltInPorts), maxPorts-1)], port)
		}
	})
	return err
}

// readState needs the lock. It gives all keys of the file, also unknown ones. A file
// that makes no sense is put aside.
func (d *Dir) readState(s *State) (map[string]any, error) {
	all, err := d.parseState(s)
	broken := (*BrokenStateError)(nil)
	if !errors.As(err, &broken) {
		return all, err
	}
	path := d.file(stateFile)
	broken.Kept = path + ".broken-" + time.Now().UTC().Format("20060102T150405.000000000")
	if err := os.Rename(path, broken.Kept); err != nil {
		return nil, fmt.Errorf("putting the broken state file aside: %w", err)
	}
	return nil, broken
}

// parseState is readState without putting anything aside.
func (d *Dir) parseState(s *State) (map[string]any, error) {
	text, err := readBounded(d.file(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is remembered: %w", err)
	}
	var all map[string]any
	if _, err = toml.Decode(string(text), &all); err == nil {
		_, err = toml.Decode(string(text), s)
	}
	if err == nil && slices.ContainsFunc(s.BuiltInPorts, func(p int) bool { return p < 1 || p > 65535 }) {
		err = errors.New("a port is out of range")
	}
	if err == nil {
		return all, nil
	}
	*s = State{}
	return nil, &BrokenStateError{Cause: err}
}

// encodeState writes s over what else the file had.
func encodeState(all map[string]any, s State) ([]byte, error) {
	var known bytes.Buffer
	if err := toml.NewEncoder(&known).Encode(s); err != nil {
		return nil, err
	}
	merged := map[string]any{}
	maps.Copy(merged, all)
	if _, err := toml.Decode(known.String(), &merged); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	text.WriteString("# Written by culvert. What you want to set stands in config.toml.\n")
	if err := toml.NewEncoder(&text).Encode(merged); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
