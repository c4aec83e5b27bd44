package received

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"culvert/app/config"
	"culvert/app/ui/model"
)

// version is the form of the file.
const version = 1

// maxFile bounds what is read. What is written has less.
const maxFile = 8 << 20

// file is what stands in it.
type file struct {
	Version int     `json:"version"`
	Notices []entry `json:"notices"`
}

// entry is one notice in the file.
type entry struct {
	ID     string          `json:"id"`
	Tunnel string          `json:"tunnel,omitempty"`
	Time   time.Time       `json:"time"`
	Title  string          `json:"title,omitempty"`
	Text   string          `json:"text,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	Read   bool            `json:"read,omitempty"`
}

// BrokenError says that a list made no sense and was put aside.
type BrokenError struct {
	Kept  string // where it is now
	Cause error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the list of notices was broken (%v): it is kept as %s, and a new one was begun", e.Cause, e.Kept)
}

func (e *BrokenError) Unwrap() error { return e.Cause }

func isBroken(err error) bool {
	var broken *BrokenError
	return errors.As(err, &broken)
}

// load reads the list. None is an empty one.
func load(path string) ([]model.Received, error) {
	text, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of notices: %w", err)
	}
	list, err := decode(text)
	if err == nil {
		return list, nil
	}
	// The one that was put aside before makes room: there is one at most.
	aside := path + ".broken"
	if moved := os.Rename(path, aside); moved != nil {
		return nil, fmt.Errorf("the list of notices is broken (%w), and cannot be put aside: %w", err, moved)
	}
	return nil, &BrokenError{Kept: aside, Cause: err}
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// decode reads the text of a file. A person may have changed it: whatever it says is
// bounded as what comes from a backend is.
func decode(text []byte) ([]model.Received, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	if f.Version != version {
		return nil, fmt.Errorf("its version is %d, and this program knows %d", f.Version, version)
	}
	var list []model.Received
	known := map[string]bool{}
	for _, e := range f.Notices {
		n := harmless(model.Received{ID: e.ID, Tunnel: e.Tunnel, At: e.Time, Title: e.Title, Text: e.Text, Data: e.Data, Read: e.Read})
		if n.ID != "" && known[n.ID] {
			continue
		}
		known[n.ID] = true
		list = append(list, n)
	}
	return bound(list), nil
}

// store replaces the file, readable by its owner only.
func store(path string, list []model.Received) error {
	f := file{Version: version, Notices: make([]entry, len(list))}
	for i, n := range list {
		f.Notices[i] = entry{ID: n.ID, Tunnel: n.Tunnel, Time: n.At, Title: n.Title, Text: n.Text, Data: n.Data, Read: n.Read}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return fmt.Errorf("writing the list of notices: %w", err)
	}
	if err := config.WriteFile(path, text.Bytes()); err != nil {
		return fmt.Errorf("writing the list of notices: %w", err)
	}
	return nil
}
