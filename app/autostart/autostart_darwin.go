package autostart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"culvert/app/config"
)

// path is where launchd looks at login.
// https://developer.apple.com/library/archive/documentation/MacOSX/Conceptual/BPSystemStartup/Chapters/CreatingLaunchdJobs.html
func (e *Entry) path() (string, error) {
	dir := e.place
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, "Library", "LaunchAgents")
	}
	return filepath.Join(dir, label+".plist"), nil
}

// Enabled reports whether the system starts this very program at login.
func (e *Entry) Enabled() (bool, error) {
	path, err := e.path()
	if err != nil {
		return false, failed(err)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && bytes.Equal(text, e.plist()), failed(err)
}

// Enable makes it so, replacing what was there for another path or arguments.
func (e *Entry) Enable() error {
	if err := e.check(); err != nil {
		return err
	}
	path, err := e.path()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = config.WriteFile(path, e.plist())
	}
	return failed(err)
}

// Disable ends it. It is no error if it was not so.
func (e *Entry) Disable() error {
	path, err := e.path()
	if err != nil {
		return failed(err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(err)
	}
	return nil
}

// plist is the file's text. launchd starts the program once, and lets it end.
func (e *Entry) plist() []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	b.WriteString(`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>` + label + `</string>
	<key>ProgramArguments</key>
	<array>
`)
	for _, word := range append([]string{e.exe}, e.args...) {
		b.WriteString("\t\t<string>")
		_ = xml.EscapeText(&b, []byte(word)) // a buffer takes everything
		b.WriteString("</string>\n")
	}
	b.WriteString(`	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>ProcessType</key>
	<string>Interactive</string>
	<key>LimitLoadToSessionType</key>
	<string>Aqua</string>
</dict>
</plist>
`)
	return b.Bytes()
}
