package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// beginning is how a config file that Culvert makes begins.
const beginning = "# Culvert's settings. What you change in its window is changed here; all else stays as you write it.\n"

// Edit changes the config file: change is given what stands in it, and what it
// alters is altered in the text. Comments, order, unknown keys and the formatting
// of everything else stay as they are, byte for byte. No other Edit runs meanwhile.
//
// If change fails, or makes something that Load would refuse, or if the file makes
// no sense as it is, nothing is written. The latter two are a *FileError.
func (d *Dir) Edit(change func(*Config) error) error {
	return d.locked(func() error {
		path := d.ConfigFile()
		text, err := readBounded(path)
		if errors.Is(err, fs.ErrNotExist) {
			text, err = []byte(beginning), nil
		}
		if err != nil {
			return &FileError{Path: path, Problem: err.Error()}
		}
		edited, err := d.edited(string(text), change)
		if err != nil || edited == string(text) {
			return err
		}
		if len(edited) > maxFile {
			return &FileError{Path: path, Problem: fmt.Sprintf("it would become larger than %d bytes", maxFile)}
		}
		// A link stays one: people keep such files elsewhere.
		if to, err := filepath.EvalSymlinks(path); err == nil {
			path = to
		}
		if err := WriteFile(path, []byte(edited)); err != nil {
			return fmt.Errorf("writing the config file: %w", err)
		}
		return nil
	})
}

// edited is the text of the config file after change.
func (d *Dir) edited(text string, change func(*Config) error) (string, error) {
	before, err := d.parse(text)
	if err != nil {
		return "", err
	}
	after, err := d.parse(text) // shares nothing with before
	if err != nil {
		return "", err
	}
	if err := change(after); err != nil {
		return "", err
	}
	d.absolute(after)
	if err := d.check(after, ""); err != nil {
		return "", d.refused(err)
	}
	edited, err := rewrite(text, before, after)
	if err != nil {
		return "", d.refused(err)
	}
	got, err := d.parse(edited)
	if err != nil {
		return "", d.refused(err)
	}
	if !same(got, after) {
		return "", d.refused(errors.New("it is written in a way that Culvert cannot change: make the change by hand"))
	}
	return edited, nil
}

// refused is about an edit: no line of the file as it is has to do with it.
func (d *Dir) refused(err error) error {
	problem := err.Error()
	if about := (*FileError)(nil); errors.As(err, &about) {
		problem = about.Problem
	}
	return &FileError{Path: d.ConfigFile(), Problem: "not changed: " + problem}
}
