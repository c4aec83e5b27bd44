// Package autostart makes the system start a program when its user logs in: by the
// XDG autostart folder, macOS' launch agents, or Windows' Run key.
package autostart

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What systems and people know the program by.
const (
	name  = "Culvert"
	label = "app.culvert.desktop"
)

// Entry is the program as the system is to start it.
type Entry struct {
	exe  string
	args []string
	// place is where the system looks: a folder, or on Windows a key of the registry;
	// "" for the user's.
	place string
}

// New describes the program: exe is the absolute path of the file. The arguments are
// for everybody on this machine to see: no secrets belong into them.
func New(exe string, args ...string) *Entry { return &Entry{exe: exe, args: args} }

// check refuses what no system can be told.
func (e *Entry) check() error {
	if !filepath.IsAbs(e.exe) {
		return errors.New("launch at login: the program's own path is not known")
	}
	for _, s := range append([]string{e.exe}, e.args...) {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("launch at login: the path or an argument has characters in it that cannot be written down: %q", s)
		}
	}
	return nil
}

// failed says what was tried.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("launch at login: %w", err)
}
