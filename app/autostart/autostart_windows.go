package autostart

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// Where Windows looks at login, and where its Task Manager notes what a person has
// switched off there: the first byte of the value is odd then.
// https://learn.microsoft.com/windows/win32/setupapi/run-and-runonce-registry-keys
const (
	runKey      = `Software\Microsoft\Windows\CurrentVersion\Run`
	approvedKey = `Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run`
)

// maxCommand is the length of a command line that Windows takes there.
const maxCommand = 260

func (e *Entry) key(path string) string {
	if e.place != "" {
		return e.place + `\` + path
	}
	return path
}

func (e *Entry) command() string {
	return windows.ComposeCommandLine(append([]string{e.exe}, e.args...))
}

// Enabled reports whether the system starts this very program at login.
func (e *Entry) Enabled() (bool, error) {
	run, err := registry.OpenKey(registry.CURRENT_USER, e.key(runKey), registry.QUERY_VALUE)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, failed(err)
	}
	defer run.Close()
	command, _, err := run.GetStringValue(name)
	if errors.Is(err, registry.ErrNotExist) || errors.Is(err, registry.ErrUnexpectedType) {
		return false, nil
	}
	if err != nil {
		return false, failed(err)
	}
	return command == e.command() && !e.switchedOff(), nil
}

func (e *Entry) switchedOff() bool {
	approved, err := registry.OpenKey(registry.CURRENT_USER, e.key(approvedKey), registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer approved.Close()
	value, _, err := approved.GetBinaryValue(name)
	return err == nil && len(value) > 0 && value[0]&1 == 1
}

// Enable makes it so, replacing what was there for another path or arguments.
func (e *Entry) Enable() error {
	if err := e.check(); err != nil {
		return err
	}
	if len(e.command()) > maxCommand {
		return errors.New("launch at login: the program's path is too long for Windows: move the program")
	}
	run, _, err := registry.CreateKey(registry.CURRENT_USER, e.key(runKey), registry.SET_VALUE)
	if err != nil {
		return failed(err)
	}
	defer run.Close()
	if err := run.SetStringValue(name, e.command()); err != nil {
		return failed(err)
	}
	return failed(e.remove(approvedKey))
}

// Disable ends it. It is no error if it was not so.
func (e *Entry) Disable() error {
	return failed(errors.Join(e.remove(runKey), e.remove(approvedKey)))
}

// remove takes the program's value out of a key.
func (e *Entry) remove(path string) error {
	key, err := registry.OpenKey(registry.CURRENT_USER, e.key(path), registry.SET_VALUE)
	if err == nil {
		defer key.Close()
		err = key.DeleteValue(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
