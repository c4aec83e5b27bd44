package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"culvert/app/config/tomledit"
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
	return d.parse(string(text))
}

// parse makes sense of a config file's text.
func (d *Dir) parse(text string) (*Config, error) {
	c := Default()
	meta, err := toml.Decode(text, c)
	if err != nil {
		return nil, fileError(d.ConfigFile(), err)
	}
	for _, key := range meta.Undecoded() {
		c.Unknown = append(c.Unknown, key.String())
	}
	if err := spelledTwice(text); err != nil {
		return nil, &FileError{Path: d.ConfigFile(), Problem: err.Error()}
	}
	if err := d.check(c, text); err != nil {
		return nil, err
	}
	d.absolute(c)
	return c, nil
}

// check finds what a decoder cannot know to be wrong. text is what c was read from,
// for the line; "" if it was not read.
func (d *Dir) check(c *Config, text string) error {
	wrong := func(at tomledit.Path, format string, args ...any) error {
		return &FileError{Path: d.ConfigFile(), Line: tomledit.Line(text, at), Problem: fmt.Sprintf(format, args...)}
	}
	profiles := tomledit.Path{known("profiles")}
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		at := profiles.Append(tomledit.Step{Key: name})
		if name == "" {
			return wrong(at, "a profile has an empty name: give it one, as in [profiles.work]")
		}
		if c.Profiles[name].Backend.URL == nil {
			return wrong(at, "profile %q has no backend: add a line such as backend = \"https://tunnel.example.com\"", name)
		}
	}
	if _, ok := c.Profiles[c.Profile]; c.Profile != "" && !ok {
		return wrong(tomledit.Path{known("profile")}, "profile = %q, but there is no [profiles.%s]", c.Profile, tomledit.Key(c.Profile))
	}
	for i, t := range c.Tunnels {
		if t.Target == "" {
			return wrong(tomledit.Path{known("tunnels"), {Elem: i + 1}}, "entry %d of [[tunnels]] has no target: add a line such as target = \"3000\"", i+1)
		}
	}
	for _, limit := range []struct {
		key     string
		n, most int
	}{{"max_mb", c.History.MaxMB, maxHistoryMB}, {"max_days", c.History.MaxDays, maxHistoryDays}} {
		at := tomledit.Path{known("history"), known(limit.key)}
		switch {
		case limit.n < 1:
			return wrong(at, "%s must be 1 or more: to keep nothing, write enabled = false", limit.key)
		case limit.n > limit.most:
			return wrong(at, "%s must be %d or less", limit.key, limit.most)
		}
	}
	return nil
}

// absolute makes the paths of files count from the config folder.
func (d *Dir) absolute(c *Config) {
	for name, p := range c.Profiles {
		p.TokenFile, p.CAFile = d.resolve(p.TokenFile), d.resolve(p.CAFile)
		c.Profiles[name] = p
	}
}

// spelledTwice finds known keys that stand in one table twice, in upper and lower
// case: the decoder takes either, and which one it ends with is chance.
func spelledTwice(text string) error {
	var all map[string]any
	if _, err := toml.Decode(text, &all); err != nil {
		return err
	}
	var tables []map[string]any
	add := func(v any) {
		switch v := v.(type) {
		case map[string]any:
			tables = append(tables, v)
		case []map[string]any:
			tables = append(tables, v...)
		case []any:
			for _, e := range v {
				if t, ok := e.(map[string]any); ok {
					tables = append(tables, t)
				}
			}
		}
	}
	tables = append(tables, all)
	for key, v := range all {
		if !strings.EqualFold(key, "profiles") {
			add(v)
		} else if profiles, ok := v.(map[string]any); ok {
			for _, p := range profiles { // whose names are people's
				add(p)
			}
		}
	}
	for _, t := range tables {
		for _, name := range knownKeys() {
			keys := slices.DeleteFunc(slices.Sorted(maps.Keys(t)), func(key string) bool { return !strings.EqualFold(key, name) })
			if len(keys) > 1 {
				return fmt.Errorf("the keys %q and %q are the same one: remove one of the two", keys[0], keys[1])
			}
		}
	}
	return nil
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
