package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Config is what a person has written into the config file. Keys that this
// version does not know are left to the versions that do.
type Config struct {
	// Profile is the name of the profile that is used when no backend is named; "" for none.
	Profile string `toml:"profile"`
	// Language is a BCP 47 tag, Theme "light" or "dark"; "" follows the system.
	Language string `toml:"language"`
	Theme    string `toml:"theme"`
	// Minimized: the desktop starts in the tray, without its window.
	Minimized bool `toml:"minimized"`

	Notices  Notices  `toml:"notices"`
	History  History  `toml:"history"`
	Defaults Defaults `toml:"defaults"`
	// Profiles are the backends, by name.
	Profiles map[string]Profile `toml:"profiles"`
	// Tunnels are remembered, in the order of their cards.
	Tunnels []Tunnel `toml:"tunnels"`
	// Unknown are the file's keys that mean nothing to this version: slips, or of a
	// later one.
	Unknown []string `toml:"-"`
}

// Profile is a backend.
type Profile struct {
	Backend Address `toml:"backend"`
	// TokenFile holds the bearer token, CAFile extra trust roots; "" for none.
	// Load makes both absolute: they count from the config folder.
	TokenFile string `toml:"token_file"`
	CAFile    string `toml:"ca_file"`
	// Keychain: the token is in the system's keychain, see package secret.
	Keychain bool `toml:"keychain"`
}

// Address is the URL of a backend. It checks itself while the file is read, so
// that the error can name the line.
type Address struct{ *url.URL }

// UnmarshalText reads the URL.
func (a *Address) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil {
		return fmt.Errorf("not a URL: want one such as https://tunnel.example.com")
	}
	if !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) || u.Hostname() == "" {
		// Not quoted: a URL that is wrong may be so because a token got into it.
		return fmt.Errorf("the backend is no URL such as https://tunnel.example.com or wss://…/stage")
	}
	a.URL = u
	return nil
}

// FileError is about a file that a person has written. The file is as it was.
type FileError struct {
	Path    string
	Line    int // 0 if no single line is to blame
	Problem string
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Problem)
	}
	return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Problem)
}

// Load reads the config file. One that is not there is an empty one; one that
// makes no sense is a *FileError.
func (d *Dir) Load() (*Config, error) {
	path := d.ConfigFile()
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return nil, &FileError{Path: path, Problem: err.Error()}
	}
	c := Default()
	meta, err := toml.Decode(string(text), c)
	if err != nil {
		return nil, fileError(path, err)
	}
	for _, key := range meta.Undecoded() {
		c.Unknown = append(c.Unknown, key.String())
	}
	for name, p := range c.Profiles {
		if p.Backend.URL == nil {
			return nil, &FileError{Path: path, Problem: fmt.Sprintf("profile %q has no backend: add a line such as backend = \"https://tunnel.example.com\"", name)}
		}
		p.TokenFile, p.CAFile = d.resolve(p.TokenFile), d.resolve(p.CAFile)
		c.Profiles[name] = p
	}
	if _, ok := c.Profiles[c.Profile]; c.Profile != "" && !ok {
		return nil, &FileError{Path: path, Problem: fmt.Sprintf("profile = %q, but there is no [profiles.%s]", c.Profile, c.Profile)}
	}
	return c, nil
}

func (d *Dir) resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.path, path)
}

// fileError tells what the decoder found, without the decoder's name. About a
// value of the wrong type the decoder says the line only in words.
func fileError(path string, err error) *FileError {
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return &FileError{Path: path, Line: syntax.Position.Line, Problem: syntax.Message}
	}
	e := &FileError{Path: path, Problem: strings.TrimPrefix(err.Error(), "toml: ")}
	if where, problem, ok := strings.Cut(e.Problem, "): "); ok {
		if n, _ := fmt.Sscanf(where, "line %d", &e.Line); n == 1 {
			e.Problem = problem
		}
	}
	return e
}
