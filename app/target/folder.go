package target

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath bounds a folder's path: what systems take (PATH_MAX of Linux).
const maxPath = 4096

// isPath reports whether text can only be meant as a path. A bare name is none: it
// may as well be a host's.
func isPath(text string) bool {
	if text == "." || text == ".." || text == "~" {
		return true
	}
	for _, start := range []string{"/", "./", "../", "~/", `.\`, `..\`, `~\`} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return isDrive(text) || strings.HasPrefix(text, "~") // the latter to be told about
}

// isDrive finds "C:\…" and "C:/…".
func isDrive(text string) bool {
	return len(text) >= 3 && text[1] == ':' && (text[2] == '\\' || text[2] == '/') && unicode.IsLetter(rune(text[0])) && text[0] < utf8.RuneSelf
}

// parseFolder reads a path as a person writes it. The folder has to be there.
func parseFolder(text string) (Target, error) {
	t, err := folderAt(text)
	if err != nil {
		return Target{}, err
	}
	info, err := os.Stat(t.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Target{}, invalid("there is no folder %s: check its spelling, or create it first", t.Folder)
	case errors.Is(err, fs.ErrPermission):
		return Target{}, invalid("the folder %s may not be read: change its permissions, or name another", t.Folder)
	case err != nil:
		return Target{}, invalid("the folder %s cannot be read: %v", t.Folder, reason(err))
	case !info.IsDir():
		return Target{}, invalid("%s is no folder: name the folder that it is in, %s", t.Folder, filepath.Dir(t.Folder))
	}
	return t, nil
}

// reason is an error of package os without the path, which has been said.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// folderAt makes the path absolute; nothing has to be there.
func folderAt(path string) (Target, error) {
	if len(path) > maxPath {
		return Target{}, invalid("the path is longer than %d characters", maxPath)
	}
	if !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) {
		// Neither a config file nor a window could show it.
		return Target{}, invalid("the path has a character in it that cannot be shown: rename the folder")
	}
	windows := runtime.GOOS == "windows"
	switch {
	case !windows && isDrive(path):
		return Target{}, invalid("%s is a path of Windows: on this computer, paths begin with / or ~/", path)
	case !windows && (strings.HasPrefix(path, `.\`) || strings.HasPrefix(path, `..\`) || strings.HasPrefix(path, `~\`)):
		return Target{}, invalid("%s is a path of Windows: on this computer, write / in place of \\", path)
	case strings.HasPrefix(path, "~"):
		home, err := os.UserHomeDir()
		if err != nil {
			return Target{}, invalid("your home folder is not known here: write the whole path in place of ~")
		}
		rest := path[1:]
		if rest != "" && rest[0] != '/' && !(windows && rest[0] == '\\') {
			return Target{}, invalid("%s: only ~ alone means your home folder: write the whole path", path)
		}
		path = filepath.Join(home, rest)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return Target{}, invalid("the path cannot be made absolute: %v; write the whole path", err)
	}
	return Target{Scheme: "http", Folder: path}, nil
}

// Remembered reads what String gave of a target that was accepted before. It is
// Parse, but for a folder that need not be there at the moment: it may be on a disk
// that is not plugged in.
func Remembered(s string) (Target, error) {
	if path := strings.TrimSpace(s); isPath(path) {
		return folderAt(path)
	}
	return Parse(s)
}

// IsFolder reports whether the target is a folder whose files are served, and no
// service.
func (t Target) IsFolder() bool { return t.Folder != "" }

// Short is the target as a person would say it: "localhost:5173", or "~/site". Only
// https is worth its scheme.
func (t Target) Short() string {
	switch {
	case t.IsFolder():
		return shortPath(t.Folder)
	case t.Scheme == "http":
		return t.HostHeader()
	}
	return t.String()
}

// shortPath puts ~ where the home folder begins.
func shortPath(path string) string {
	home, err := os.UserHomeDir()
	if err != nil || home == "" {
		return path
	}
	home = filepath.Clean(home)
	separator := string(filepath.Separator)
	if path == home {
		return "~"
	}
	if rest, ok := strings.CutPrefix(path, home+separator); ok && home != separator {
		return "~" + separator + rest
	}
	return path
}
