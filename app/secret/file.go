package secret

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"culvert/app/config"
)

// files are one file for each token, readable by their owner only.
type files struct{ folder string }

func (f files) path(profile string) string { return filepath.Join(f.folder, fileName(profile)) }

// fileName is a profile's name, spelled so that no system takes it for another one's,
// or for anything but a file.
func fileName(profile string) string {
	var b strings.Builder
	for i, c := range []byte(profile) {
		plain := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0
		// Windows takes the names of its devices for these, and passes over dots at the end.
		if plain && !(i == 0 && device(profile)) && !(c == '.' && i == len(profile)-1) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	if b.Len() == 0 {
		return "%"
	}
	if b.Len() > 120 {
		return b.String()[:120] + fmt.Sprintf("%%%x", sha256.Sum256([]byte(profile)))
	}
	return b.String()
}

// device reports whether a name is one of Windows' devices, with any ending.
func device(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	if len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") {
		return true
	}
	return slices.Contains([]string{"con", "prn", "aux", "nul"}, stem)
}

func (f files) get(profile string) (string, error) {
	path := f.path(profile)
	if config.LooseMode(path) != "" {
		_ = os.Chmod(path, 0o600) // nobody else has any business with it
	}
	token, err := config.ReadToken(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNotFound
	}
	return token, err
}

func (f files) set(profile, token string) error {
	err := os.MkdirAll(f.folder, 0o700)
	if err == nil {
		err = config.WriteFile(f.path(profile), []byte(token+"\n"))
	}
	if err != nil {
		return fmt.Errorf("keeping the token: %w", err)
	}
	return nil
}

func (f files) delete(profile string) error {
	if err := os.Remove(f.path(profile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the token: %w", err)
	}
	return nil
}
