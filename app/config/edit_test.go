package config

import (
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// full has a bit of everything that people write.
const full = `# Jana's laptop
profile = "work"   # at the office
colour = "a key of a later version"

[profiles.work]
# ask ops for a token
backend    = 'https://tunnel.example.com' # the relay
token_file = "work.token"
throttle   = 3

# my own account
[profiles."my aws"]
backend = """wss://abc.execute-api.eu-west-1.amazonaws.com/prod"""

[history]
max_mb = 0x64

# the shop
[[tunnels]]
target = "5173"
name = "shop"
[tunnels.later]
x = [
  1, # one
  2,
]

# the API
[[tunnels]]
target = "8000"
start = true
# timeout = "30s"

[[tunnels]]
target = "~/site"

[window]
size = { width = 800, height = 600 }
`

func address(t testing.TB, text string) Address {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return Address{u}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string // full, if empty
		change func(*Config)
		// gone and come are the lines that the change takes away and brings, in order.
		gone, come []string
	}{
		"nothing":               {change: func(*Config) {}},
		"a value keeps comment": {change: func(c *Config) { c.Profile = "my aws" }, gone: []string{`profile = "work"   # at the office`}, come: []string{`profile = "my aws"   # at the office`}},
		"an empty value goes":   {change: func(c *Config) { c.Profile = "" }, gone: []string{`profile = "work"   # at the office`}},
		"a new key at the top":  {change: func(c *Config) { c.Theme = "dark" }, come: []string{`theme = "dark"`}},
		"a new key in a table":  {change: func(c *Config) { c.History.Enabled = false }, come: []string{`enabled = false`}},
		"a key in a new table":  {change: func(c *Config) { c.Notices.Lost = false }, come: []string{"[notices]", "lost = false", ""}},
		"a number":              {change: func(c *Config) { c.History.MaxMB = 300 }, gone: []string{"max_mb = 0x64"}, come: []string{"max_mb = 300"}},
		"a duration":            {change: func(c *Config) { c.Defaults.Timeout = Duration(90 * time.Second) }, come: []string{"[defaults]", `timeout = "1m30s"`, ""}},
		"a profile": {change: func(c *Config) {
			p := c.Profiles["work"]
			p.Backend.URL, p.Keychain, p.TokenFile = &url.URL{Scheme: "https", Host: "b.example.com"}, true, ""
			c.Profiles["work"] = p
		}, gone: []string{"backend    = 'https://tunnel.example.com' # the relay", `token_file = "work.token"`},
			come: []string{`backend    = "https://b.example.com" # the relay`, "keychain = true"}},
		"a new profile": {change: func(c *Config) {
			c.Profiles["ž \" new"] = Profile{Backend: Address{&url.URL{Scheme: "http", Host: "127.0.0.1:8080"}}, CAFile: "/etc/ca.pem"}
		}, come: []string{`[profiles."ž \" new"]`, `backend = "http://127.0.0.1:8080"`, `ca_file = "/etc/ca.pem"`, ""}},
		"a profile less": {change: func(c *Config) { delete(c.Profiles, "my aws") },
			gone: []string{"# my own account", `[profiles."my aws"]`, `backend = """wss://abc.execute-api.eu-west-1.amazonaws.com/prod"""`, ""}},
		"a tunnel": {change: func(c *Config) { c.Tunnels[0].Target, c.Tunnels[0].Start = "3000", true },
			gone: []string{`target = "5173"`}, come: []string{`target = "3000"`, "start = true"}},
		"a new tunnel": {change: func(c *Config) { c.Tunnels = append(c.Tunnels, Tunnel{Target: `C:\site`, Profile: "work"}) },
			come: []string{"[[tunnels]]", `target = "C:\\site"`, `profile = "work"`, "start = false", ""}},
		"a tunnel less": {change: func(c *Config) { c.Tunnels = slices.Delete(c.Tunnels, 1, 2) },
			gone: []string{"# the API", `target = "8000"`, "start = true", `# timeout = "30s"`, "", "[[tunnels]]"}},
		"all tunnels less": {change: func(c *Config) { c.Tunnels = nil },
			gone: strings.Split(strings.TrimSuffix(full[strings.Index(full, "# the shop"):strings.Index(full, "[window]")], "\n"), "\n")},
		"tunnels in braces": {text: "tunnels = [ { target = \"1\" }, {target=\"2\", x = 1} ] # two\n",
			change: func(c *Config) {
				c.Tunnels[1].Name = "b"
				c.Tunnels = append(c.Tunnels[1:], c.Tunnels[0], Tunnel{Target: "3"})
			},
			gone: []string{`tunnels = [ { target = "1" }, {target="2", x = 1} ] # two`},
			come: []string{`tunnels = [ {target="2", x = 1, name = "b"}, { target = "1" }, { target = "3", start = false } ] # two`}},
		"tunnels in braces less": {text: "tunnels = [\n  { target = \"1\" }, # one\n  { target = \"2\" }, # two\n  { target = \"3\" }\n]\n",
			change: func(c *Config) { c.Tunnels = []Tunnel{c.Tunnels[1]} },
			gone:   []string{`  { target = "1" }, # one`, `  { target = "3" }`}},
		"dotted keys": {text: "profiles.a.backend = \"http://a\" # a\nnotices.lost = false\n[window]\n",
			change: func(c *Config) {
				c.Profiles["b"] = Profile{Backend: Address{&url.URL{Scheme: "http", Host: "b"}}}
				c.Notices.Messages = false
			},
			come: []string{`profiles.b.backend = "http://b"`, "notices.messages = false"}},
		"a table in braces": {text: "profiles = { a = {backend = \"http://a\"} }\nhistory = {}\n",
			change: func(c *Config) {
				c.Profiles["b"] = Profile{Backend: Address{&url.URL{Scheme: "http", Host: "b"}}}
				c.History.MaxDays = 3
			},
			gone: []string{`profiles = { a = {backend = "http://a"} }`, "history = {}"},
			come: []string{`profiles = { a = {backend = "http://a"}, b.backend = "http://b" }`, "history = { max_days = 3 }"}},
		"other spellings": {text: "THEME = \"dark\"\n[Notices]\nlost = false\n",
			change: func(c *Config) { c.Theme, c.Notices.Lost, c.Notices.Restored = "light", true, false },
			gone:   []string{`THEME = "dark"`, "lost = false"},
			come:   []string{`THEME = "light"`, "lost = true", "restored = false"}},
		"an empty file":      {text: "\n", change: func(c *Config) { c.Language = "cs" }, come: []string{`language = "cs"`}},
		"no newline at end":  {text: `theme = "dark"`, change: func(c *Config) { c.Language = "cs" }, come: []string{`language = "cs"`, ""}},
		"Windows line ends":  {text: "theme = \"dark\"\r\n", change: func(c *Config) { c.Language = "cs" }, come: []string{"language = \"cs\"\r"}},
		"a mark at the top":  {text: "\ufefftheme = \"dark\"\n", change: func(c *Config) { c.Minimized = true }, come: []string{"minimized = true"}},
		"only comments":      {text: "# mine\n", change: func(c *Config) { c.Minimized = true }, come: []string{"minimized = true", ""}},
		"a table without it": {text: "[window]\n", change: func(c *Config) { c.Minimized = true }, come: []string{"minimized = true", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.text == "" {
				c.text = full
			}
			d := open(t)
			write(t, d.ConfigFile(), c.text)
			want, err := d.Load()
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Edit(func(now *Config) error { c.change(now); c.change(want); return nil }); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(d.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Load()
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if !same(got, want) {
				t.Errorf("got %+v\nwant %+v\nin\n%s", got, want, text)
			}
			gone, come := changedLines(c.text, string(text))
			if !slices.Equal(gone, c.gone) || !slices.Equal(come, c.come) {
				t.Errorf("gone %q, want %q\ncome %q, want %q\nin\n%s", gone, c.gone, come, c.come, text)
			}
			noLeftovers(t, d)
		})
	}
}

// changedLines are what one text has and the other has not, by the longest sequence
// of lines that both have.
func changedLines(a, b string) (gone, come []string) {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	length := make([][]int, len(as)+1)
	for i := range length {
		length[i] = make([]int, len(bs)+1)
	}
	for i := len(as) - 1; i >= 0; i-- {
		for j := len(bs) - 1; j >= 0; j-- {
			if length[i][j] = max(length[i+1][j], length[i][j+1]); as[i] == bs[j] {
				length[i][j] = length[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	for i < len(as) || j < len(bs) {
		switch {
		case i < len(as) && j < len(bs) && as[i] == bs[j]:
			i, j = i+1, j+1
		case j == len(bs) || i < len(as) && length[i+1][j] >= length[i][j+1]:
			gone = append(gone, as[i])
			i++
		default:
			come = append(come, bs[j])
			j++
		}
	}
	return gone, come
}

// TestEditMovesTunnels: a tunnel takes with it what is its own, also what this
// version does not know.
func TestEditMovesTunnels(t *testing.T) {
	t.Parallel()
	d := open(t)
	write(t, d.ConfigFile(), full)
	if err := d.Edit(func(c *Config) error {
		c.Tunnels[0], c.Tunnels[2] = c.Tunnels[2], c.Tunnels[0]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(d.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	want := full[:strings.Index(full, "# the shop")] + `[[tunnels]]
target = "~/site"

# the API
[[tunnels]]
target = "8000"
start = true
# timeout = "30s"

# the shop
[[tunnels]]
target = "5173"
name = "shop"
[tunnels.later]
x = [
  1, # one
  2,
]

` + full[strings.Index(full, "[window]"):]
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	ours := errors.New("ours")
	for name, c := range map[string]struct {
		text   string
		change func(*Config) error
		says   string
	}{
		"a broken file":   {"theme = \"dark\"\nthis is [not TOML\n", func(c *Config) error { c.Theme = ""; return nil }, ":2: "},
		"the caller's":    {full, func(c *Config) error { c.Theme = "dark"; return ours }, "ours"},
		"profile of none": {full, func(c *Config) error { delete(c.Profiles, "work"); return nil }, `profile = "work"`},
		"no backend":      {full, func(c *Config) error { c.Profiles["x"] = Profile{}; return nil }, "has no backend"},
		":1: entry 1 of [[tunnels]] has no target": {full, func(c *Config) error { c.Tunnels[2].Target = ""; return nil }, "entry 3"},
		"nothing kept": {full, func(c *Config) error { c.History.MaxDays = 0; return nil }, "enabled = false"},
		"another scheme": {full, func(c *Config) error {
			c.Profiles["x"] = Profile{Backend: Address{&url.URL{Scheme: "ftp", Host: "x"}}}
			return nil
		}, "https://"},
		"no text":           {full, func(c *Config) error { c.Theme = "\xff"; return nil }, "not changed"},
		"too large":         {full, func(c *Config) error { c.Theme = strings.Repeat("x", maxFile); return nil }, "larger than"},
		"negative duration": {full, func(c *Config) error { c.Defaults.Timeout = -1; return nil }, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			write(t, d.ConfigFile(), c.text)
			err := d.Edit(c.change)
			var about *FileError
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.As(err, &about) == errors.Is(err, ours) {
				t.Errorf("got %v", err)
			}
			if text, err := os.ReadFile(d.ConfigFile()); err != nil || string(text) != c.text {
				t.Errorf("the file was touched: %q, %v", text, err)
			}
			noLeftovers(t, d)
		})
	}
}

func TestEditMakesFile(t *testing.T) {
	t.Parallel()
	d := open(t)
	if err := d.Edit(func(*Config) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.ConfigFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a change of nothing made a file: %v", err)
	}
	if err := d.Edit(func(c *Config) error { c.Theme = "dark"; return nil }); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(d.ConfigFile())
	if want := beginning + "\ntheme = \"dark\"\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v", text, err)
	}
	info, err := os.Stat(d.ConfigFile())
	if err != nil || os.PathSeparator == '/' && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestEditKeepsLink: people keep such a file elsewhere.
func TestEditKeepsLink(t *testing.T) {
	t.Parallel()
	d := open(t)
	elsewhere := filepath.Join(t.TempDir(), "dotfiles.toml")
	write(t, elsewhere, "theme = \"dark\"\n")
	if err := os.Symlink(elsewhere, d.ConfigFile()); err != nil {
		t.Skip(err)
	}
	if err := d.Edit(func(c *Config) error { c.Theme = "light"; return nil }); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(d.ConfigFile()); err != nil || to != elsewhere {
		t.Errorf("link to %q, %v", to, err)
	}
	if text, err := os.ReadFile(elsewhere); err != nil || string(text) != "theme = \"light\"\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestEditConcurrently loses no change, however many write.
func TestEditConcurrently(t *testing.T) {
	t.Parallel()
	const editors = 8
	dir := filepath.Join(t.TempDir(), "culvert")
	done := make(chan error, editors)
	for i := range editors {
		go func() {
			d, err := Open(dir)
			if err == nil {
				err = d.Edit(func(c *Config) error {
					c.Tunnels = append(c.Tunnels, Tunnel{Target: strings.Repeat("1", i+1)})
					return nil
				})
			}
			done <- err
		}()
	}
	for range editors {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := d.Load(); err != nil || len(c.Tunnels) != editors {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	d := open(t)
	write(t, d.ConfigFile(), `language = "cs"
[notices]
messages = false
[history]
redact = false
[defaults]
host_header = "public"
timeout = "45s"
[profiles.a]
backend = "http://a"
keychain = true
[[tunnels]]
target = "3000"
profile = "a"
timeout = "1m"
start = true
`)
	got, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Language = "cs"
	want.Notices.Messages, want.History.Redact = false, false
	want.Defaults = Defaults{"public", Duration(45 * time.Second)}
	want.Profiles = map[string]Profile{"a": {Backend: address(t, "http://a"), Keychain: true}}
	want.Tunnels = []Tunnel{{Target: "3000", Profile: "a", Timeout: Duration(time.Minute), Start: true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for text, says := range map[string]string{
		"[defaults]\ntimeout = 30\n":                     ":2: ",
		"[defaults]\ntimeout = \"-1s\"\n":                ":2: ",
		"Theme = \"a\"\ntheme = \"b\"\n":                 "the same one",
		"[[tunnels]]\n":                                  ":1: entry 1 of [[tunnels]] has no target",
		"[history]\nmax_mb = -1\n":                       ":2: max_mb",
		"[profiles.\"\"]\nbackend = \"http://a\"\n":      "empty name",
		"[profiles.a]\nbackend='http://a'\nBackend=''\n": "",
	} {
		write(t, d.ConfigFile(), text)
		if _, err := d.Load(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
	write(t, d.ConfigFile(), "colour = 1\nColour = 2\n[profiles.Work]\nbackend = 'http://a'\n[profiles.work]\nbackend = 'http://b'\n[x]\na = 1\nA = 2\n")
	if c, err := d.Load(); err != nil || len(c.Profiles) != 2 {
		t.Errorf("keys that are not the same one: %+v, %v", c, err)
	}
}

// FuzzEdit changes files of every form: what comes out says what was wanted, and
// everything else is still there.
func FuzzEdit(f *testing.F) {
	for _, text := range []string{
		full, "", "\n\n# c", "profiles = { a = { backend = 'http://a' } } # x\n", "tunnels = []\n", "tunnels = [\n{ target = '1' },\n # c\n{ target = '2',\n x = 1, },\n]",
		"[profiles]\na.backend = 'http://a'\nb = { backend = 'http://b' }\n", "[[tunnels]]\ntarget='1'\n[x]\n[tunnels.y]\n[[tunnels]]\ntarget='2'",
		"a.b.c = 1\nnotices.lost = false\n[x]\n", "Theme = 'dark'\r\n[Notices]\r\n", "profiles.a.backend='http://a'\nprofile = 'a'", "theme = '''a\n# no comment\n[b]'''\n",
		"\ufeffminimized=true", "history = { max_mb = 1, # c\n }\n", "[history]#c\n#d\n[ notices . x ]\n# e\n\n# f\n[profiles.'a.b']\nbackend='ws://x/y'\n",
		"\"theme\" = \"a\\\"\\u0041\"\n'x\\' = \"\"\"\\\"\"\"\"\"\nz=1979-05-27 07:32:00 # d\n",
	} {
		for _, change := range []uint{1, 2, 4, 8, 16, 32, 31, 44, 63} {
			f.Add(text, change)
		}
	}
	dir, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, change uint) {
		before, err := dir.parse(text)
		if err != nil || len(text) > 10_000 {
			t.Skip()
		}
		want, _ := dir.parse(text)
		alter(want, change)
		edited, err := dir.edited(text, func(c *Config) error { alter(c, change); return nil })
		if err != nil {
			if dir.check(want, "") == nil {
				t.Fatalf("%v: in\n%s", err, text)
			}
			return
		}
		got, err := dir.parse(edited)
		if err != nil || !same(got, want) {
			t.Fatalf("%v: got %+v, want %+v in\n%s", err, got, want, edited)
		}
		sections := slices.Equal(slices.Sorted(maps.Keys(before.Profiles)), slices.Sorted(maps.Keys(want.Profiles))) && len(before.Tunnels) <= len(want.Tunnels)
		if !sections {
			return // with which unknown keys and comments go
		}
		if a, b := unknown(t, text), unknown(t, edited); !reflect.DeepEqual(a, b) {
			t.Errorf("unknown keys: %v, before %v, in\n%s", b, a, edited)
		}
		if a, b := letters(text), letters(edited); change&8 == 0 && a > b+len("false")+len(before.Theme)*6+len(before.Profile)*6+20 {
			t.Errorf("too much is gone from\n%s\nnow\n%s", text, edited)
		}
	})
}

// alter makes the changes whose bits are set.
func alter(c *Config, change uint) {
	if change&1 != 0 {
		c.Theme = "dark \"x\"\n#"
	}
	if change&2 != 0 {
		c.Notices.Lost = !c.Notices.Lost
		c.History.MaxDays = 30
	}
	if change&4 != 0 {
		c.Tunnels = append(c.Tunnels, Tunnel{Target: "9999", Timeout: Duration(time.Second)})
	}
	if change&8 != 0 && len(c.Tunnels) > 1 {
		c.Tunnels[0].Start = !c.Tunnels[0].Start
		slices.Reverse(c.Tunnels)
	}
	if change&16 != 0 {
		if c.Profiles == nil {
			c.Profiles = map[string]Profile{}
		}
		c.Profiles["new one"] = Profile{Backend: Address{&url.URL{Scheme: "https", Host: "new"}}, Keychain: true}
	}
	if change&32 != 0 {
		names := slices.Sorted(maps.Keys(c.Profiles))
		if len(names) > 0 {
			delete(c.Profiles, names[0])
		}
		if len(c.Tunnels) > 0 {
			c.Tunnels = c.Tunnels[1:]
		}
		c.Profile = ""
	}
}

// unknown are the values of a file that mean nothing to this version.
func unknown(t *testing.T, text string) map[string]any {
	var all map[string]any
	if _, err := toml.Decode(text, &all); err != nil {
		t.Fatal(err)
	}
	left := map[string]any{}
	for key, v := range all {
		if !slices.ContainsFunc(knownKeys(), func(k string) bool { return strings.EqualFold(k, key) }) {
			left[key] = v
		}
	}
	return left
}

// letters counts what is no white space.
func letters(s string) int { return len(strings.Join(strings.Fields(s), "")) }
