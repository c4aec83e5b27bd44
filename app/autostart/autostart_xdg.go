//go:build !windows && !darwin

package autostart

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"culvert/app/config"
)

// path is where desktops look for what to start.
// https://specifications.freedesktop.org/autostart-spec/latest/
func (e *Entry) path() (string, error) {
	dir := e.place
	if dir == "" {
		user, err := os.UserConfigDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "autostart")
	}
	return filepath.Join(dir, label+".desktop"), nil
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
	if err != nil {
		return false, failed(err)
	}
	keys := entryKeys(string(text))
	// Desktops' own settings switch an entry off by these.
	off := keys["Hidden"] == "true" || keys["X-GNOME-Autostart-enabled"] == "false"
	return !off && keys["Exec"] == e.exec(), nil
}

// Enable makes it so, replacing what was there for another path or arguments.
func (e *Entry) Enable() error {
	if err := e.check(); err != nil {
		return err
	}
	if strings.Contains(e.exe, "=") {
		return errors.New("launch at login: desktops start no program with = in its path: move it")
	}
	path, err := e.path()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = config.WriteFile(path, []byte(e.entry()))
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

// entry is the file's text.
// https://specifications.freedesktop.org/desktop-entry-spec/latest/
func (e *Entry) entry() string {
	return strings.Join([]string{
		"[Desktop Entry]",
		"Type=Application",
		"Name=" + name,
		"Comment=Written by Culvert: its settings switch it off",
		"Icon=" + label,
		"TryExec=" + value(e.exe), // nothing happens once the program is gone
		"Exec=" + e.exec(),
		"Terminal=false",
		"X-GNOME-Autostart-enabled=true",
		"",
	}, "\n")
}

// exec is the command line, as the key's value is written.
func (e *Entry) exec() string {
	words := []string{quote(e.exe)}
	for _, a := range e.args {
		words = append(words, quote(a))
	}
	return value(strings.Join(words, " "))
}

// quote makes one argument of a word, whatever is in it.
func quote(word string) string {
	word = strings.ReplaceAll(word, "%", "%%") // else a field code
	plain := strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:,@+%=") == ""
	if plain && word != "" {
		return word
	}
	return `"` + strings.NewReplacer(`"`, `\"`, "`", "\\`", `$`, `\$`, `\`, `\\`).Replace(word) + `"`
}

// value escapes what a key's value cannot have as it is.
func value(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

// entryKeys are the keys of the group that counts.
func entryKeys(text string) map[string]string {
	keys := map[string]string{}
	group := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			group = line
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && group == "[Desktop Entry]" && !strings.HasPrefix(line, "#") {
			keys[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return keys
}
