package discover

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The bounds of looking at a project's files.
const (
	maxFile      = 256 << 10
	maxFoldersUp = 2
)

// readStart reads a file up to a bound, or what could be read of it.
func readStart(path string, most int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, most))
	return text
}

// readPackage reads the package.json that is nearest above a folder.
func readPackage(folder string) map[string]bool {
	path := nearest(folder, "package.json")
	if path == "" {
		return nil
	}
	var file struct {
		Dependencies    map[string]any `json:"dependencies"`
		DevDependencies map[string]any `json:"devDependencies"`
	}
	if json.Unmarshal(readStart(path, maxFile), &file) != nil {
		return nil
	}
	names := map[string]bool{}
	for name := range file.Dependencies {
		names[name] = true
	}
	for name := range file.DevDependencies {
		names[name] = true
	}
	return names
}

// nearest is the path of a file with that name in the folder or a few above, or "".
func nearest(folder, name string) string {
	if folder == "" {
		return ""
	}
	for range maxFoldersUp + 1 {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			break
		}
		folder = parent
	}
	return ""
}

// mentions reports whether one of the files in the folder has the word in it.
func mentions(folder, word string, names ...string) bool {
	if folder == "" {
		return false
	}
	for _, name := range names {
		if strings.Contains(string(readStart(filepath.Join(folder, name), maxFile)), word) {
			return true
		}
	}
	return false
}
