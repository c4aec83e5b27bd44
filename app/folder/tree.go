package folder

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unicode"
)

var (
	errHidden  = errors.New("hidden")
	errOutside = errors.New("a link leads out of the folder")
	errSpecial = errors.New("not a plain file")
	errChanged = errors.New("another file than the one that was found")
)

// Bounds of one look-up: more than any file system has names for.
const (
	maxName  = 4096 // bytes of a path
	maxDepth = 256  // names in it, and in the links on the way
	maxLinks = 40   // as Linux has it
)

// tree is the folder as it is served.
type tree struct {
	root *os.Root
	path string // of root
}

// find gives the name below the root of what a URL's path names, with all links on the
// way followed, and what it is: a plain file or a folder. It follows links itself to
// see whether they lead to what is hidden; that they do not lead out is for the root
// to see to, which looks again when the name is opened.
func (t *tree) find(urlPath string) (name string, info fs.FileInfo, err error) {
	if len(urlPath) > maxName || strings.IndexByte(urlPath, 0) >= 0 {
		return "", nil, fs.ErrNotExist
	}
	left := split(urlPath)
	for _, element := range left {
		if err := allowed(element); err != nil {
			return "", nil, err
		}
	}
	if info, err = t.root.Lstat("."); err != nil {
		return "", nil, err
	}
	return t.walk(".", info, left)
}

// walk is find from a folder that was found, with names that are allowed.
func (t *tree) walk(from string, at fs.FileInfo, left []string) (name string, info fs.FileInfo, err error) {
	name, info = from, at
	links, depth := 0, 0
	for len(left) > 0 {
		element := left[0]
		left = left[1:]
		if depth++; depth > maxDepth {
			return "", nil, fs.ErrNotExist
		}
		if element == ".." { // of a link: a URL's was refused
			if name == "." {
				return "", nil, errOutside
			}
			name = path.Dir(name)
			if info, err = t.root.Lstat(name); err != nil {
				return "", nil, err
			}
			continue
		}
		if !info.IsDir() {
			return "", nil, fs.ErrNotExist
		}
		at := path.Join(name, element)
		if info, err = t.root.Lstat(at); err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			name = at
			continue
		}
		if links++; links > maxLinks {
			return "", nil, fs.ErrNotExist
		}
		way, fromRoot, err := t.follow(at)
		if err != nil {
			return "", nil, err
		}
		if fromRoot {
			name = "."
		}
		left = append(way, left...)
		if info, err = t.root.Lstat(name); err != nil {
			return "", nil, err
		}
	}
	if err := servable(info); err != nil {
		return "", nil, err
	}
	return name, info, nil
}

// servable refuses what is neither a file nor a folder.
func servable(info fs.FileInfo) error {
	if !info.IsDir() && !info.Mode().IsRegular() {
		return errSpecial
	}
	return nil
}

// follow reads a link: the names on its way, from where it stands or from the root.
func (t *tree) follow(name string) (way []string, fromRoot bool, err error) {
	to, err := t.root.Readlink(name)
	if err != nil {
		return nil, false, err
	}
	if filepath.IsAbs(to) {
		if to, err = filepath.Rel(t.path, to); err != nil || !filepath.IsLocal(to) {
			return nil, false, errOutside
		}
		fromRoot = true
	}
	way = split(filepath.ToSlash(to))
	for _, element := range way {
		if element != ".." {
			if err := allowed(element); err != nil {
				return nil, false, err
			}
		}
	}
	return way, fromRoot, nil
}

// split gives the names in a path. Empty ones mean nothing, as in any file system;
// "." is left out likewise, but ".." is not taken for anything.
func split(p string) []string {
	var names []string
	for name := range strings.SplitSeq(p, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}

// allowed refuses what is hidden, ".." among it, and names that mean another file than
// they say.
func allowed(name string) error {
	if hidden(name) {
		return errHidden
	}
	if runtime.GOOS == "windows" && !plainOnWindows(name) {
		return fs.ErrNotExist
	}
	return nil
}

// hidden reports whether a name begins with a dot, also for file systems that skip
// characters which cannot be seen (HFS+ takes "\u200c.git" for ".git"). What
// /.well-known/ has in it is meant for visitors (RFC 8615).
func hidden(name string) bool {
	visible := strings.TrimLeftFunc(name, func(r rune) bool { return unicode.Is(unicode.Cf, r) })
	return strings.HasPrefix(visible, ".") && name != ".well-known"
}

// plainOnWindows refuses names with a second meaning: separators, streams ("a::$DATA"),
// devices ("NUL"), what ends in dots or spaces, which are dropped, and the short names
// ("GIT~1") behind which a dot could hide.
func plainOnWindows(name string) bool {
	if strings.ContainsAny(name, `\:*?"<>|`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
		return false
	}
	if i := strings.LastIndexByte(name, '~'); i >= 0 && i+1 < len(name) && '0' <= name[i+1] && name[i+1] <= '9' && len(name) <= len("12345678.123") {
		return false
	}
	return filepath.IsLocal(name)
}

// isNoName finds what systems say about names that no file can have here.
func isNoName(err error) bool {
	for _, no := range []syscall.Errno{syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.ELOOP} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}
