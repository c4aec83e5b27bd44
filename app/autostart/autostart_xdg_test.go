//go:build !windows && !darwin

package autostart

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inHome gives a program that is to be started from a home of its own.
func inHome(t *testing.T, exe string, args ...string) *Entry {
	t.Helper()
	e := New(exe, args...)
	e.place = filepath.Join(t.TempDir(), ".config", "autostart")
	return e
}

func is(t *testing.T, e *Entry, want bool) {
	t.Helper()
	if got, err := e.Enabled(); err != nil || got != want {
		t.Errorf("enabled %v, %v; want %v", got, err, want)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	e := inHome(t, "/opt/culvert/culvert-desktop", "--minimized", "--config", "/home/jana/my config")
	is(t, e, false)
	if err := e.Disable(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := e.Enable(); err != nil {
			t.Fatal(err)
		}
		is(t, e, true)
	}
	path, _ := e.path()
	text, err := os.ReadFile(path)
	if want := `Exec=/opt/culvert/culvert-desktop --minimized --config "/home/jana/my config"`; err != nil || !strings.Contains(string(text), "\n"+want+"\n") {
		t.Errorf("no %s in %q, %v", want, text, err)
	}

	moved := *e
	moved.exe = "/usr/bin/culvert-desktop"
	is(t, &moved, false)
	if err := moved.Enable(); err != nil {
		t.Fatal(err)
	}
	is(t, &moved, true)
	is(t, e, false)

	// What desktops write into it.
	for _, off := range []string{"Hidden=true", "X-GNOME-Autostart-enabled=false"} {
		key, _, _ := strings.Cut(off, "=")
		var lines []string
		for line := range strings.Lines(moved.entry()) {
			if !strings.HasPrefix(line, key) {
				lines = append(lines, line)
			}
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")+off+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		is(t, &moved, false)
	}
	if err := os.WriteFile(path, []byte(moved.entry()+"X-Delay=5\n[Desktop Action x]\nHidden=true\nExec=other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	is(t, &moved, true)
	if err := moved.Disable(); err != nil {
		t.Error(err)
	}
	is(t, &moved, false)
	if left, _ := os.ReadDir(e.place); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// TestHome: without a place of its own it is the user's.
func TestHome(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	e := New("/opt/culvert-desktop")
	if err := e.Enable(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(home, ".config", "autostart", "app.culvert.desktop.desktop")); err != nil {
		t.Error(err)
	}
	is(t, e, true)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"culvert-desktop"}, {""}, {"/a\nb"}, {"/a", "b\x00"}, {"/a", "\xff"}, {"/a=b/c"}} {
		e := inHome(t, words[0], words[1:]...)
		if err := e.Enable(); err == nil || !strings.HasPrefix(err.Error(), "launch at login: ") {
			t.Errorf("%q: %v", words, err)
		}
		is(t, e, false)
	}
	e := inHome(t, "/a")
	if err := os.MkdirAll(filepath.Dir(e.place), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.place, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Enable(); err == nil {
		t.Error("a file in the folder's place")
	}
}

// launch splits a command line as desktops do: the value's escapes first, then the
// quotes, then the field codes.
func launch(exec string) ([]string, error) {
	var value strings.Builder
	for i := 0; i < len(exec); i++ {
		c := exec[i]
		if c == '\\' {
			if i++; i == len(exec) || exec[i] != '\\' {
				return nil, errors.New("an escape of a value that is none of ours")
			}
			c = '\\'
		}
		value.WriteByte(c)
	}
	var words []string
	rest := value.String()
	for rest = strings.TrimLeft(rest, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var word strings.Builder
		if rest[0] != '"' {
			end := strings.IndexByte(rest+" ", ' ')
			if strings.ContainsAny(rest[:end], "\"'\\><~|&;$*?#()`\t") {
				return nil, errors.New("a reserved character outside of quotes")
			}
			word.WriteString(rest[:end])
			rest = rest[end:]
		} else {
			i := 1
			for ; i < len(rest) && rest[i] != '"'; i++ {
				switch {
				case rest[i] == '\\' && i+1 < len(rest) && strings.IndexByte("\"`$\\", rest[i+1]) >= 0:
					i++
				case strings.IndexByte("`$\\", rest[i]) >= 0:
					return nil, errors.New("a character in quotes that needs an escape")
				}
				word.WriteByte(rest[i])
			}
			if i == len(rest) {
				return nil, errors.New("a quote without an end")
			}
			rest = rest[i+1:]
		}
		text := word.String()
		if strings.Contains(strings.ReplaceAll(text, "%%", ""), "%") {
			return nil, errors.New("a field code")
		}
		words = append(words, strings.ReplaceAll(text, "%%", "%"))
	}
	return words, nil
}

func FuzzExec(f *testing.F) {
	f.Add("/opt/culvert", "")
	f.Add("/home/jana novák/culvert", "--config=/x y")
	f.Add(`/a\b`, "$HOME `id` \"x\" 'y' 100% %f \\")
	f.Fuzz(func(t *testing.T, exe, arg string) {
		e := New(exe, arg)
		if e.check() != nil {
			return
		}
		got, err := launch(e.exec())
		if err != nil || !slices.Equal(got, []string{exe, arg}) {
			t.Errorf("%q is %q, %v", e.exec(), got, err)
		}
	})
}
