package config

import (
	"maps"
	"slices"

	"culvert/app/config/tomledit"
)

// setting is one key of the file and its value as it is to stand there.
type setting struct {
	key     string
	literal string // "" to have no such key
}

// str is a setting that is left out if it is empty.
func str(key, v string) setting {
	if v == "" {
		return setting{key, ""}
	}
	return setting{key, tomledit.String(v)}
}

func boolean(key string, v bool) setting { return setting{key, tomledit.Bool(v)} }

func number(key string, v int) setting { return setting{key, tomledit.Int(v)} }

func duration(key string, v Duration) setting {
	if v == 0 {
		return setting{key, ""}
	}
	text, _ := v.MarshalText() // never fails
	return setting{key, tomledit.String(string(text))}
}

// section is a table of the file, "" for its top.
type section struct {
	name     string
	settings []setting
}

// sections are everything but profiles and tunnels.
func (c *Config) sections() []section {
	return []section{
		{"", []setting{str("profile", c.Profile), str("language", c.Language), str("theme", c.Theme), boolean("minimized", c.Minimized)}},
		{"notices", []setting{
			boolean("lost", c.Notices.Lost), boolean("restored", c.Notices.Restored),
			boolean("first_request", c.Notices.FirstRequest), boolean("messages", c.Notices.Messages),
		}},
		{"history", []setting{
			boolean("enabled", c.History.Enabled), boolean("redact", c.History.Redact),
			number("max_mb", c.History.MaxMB), number("max_days", c.History.MaxDays),
		}},
		{"defaults", []setting{str("host_header", c.Defaults.HostHeader), duration("timeout", c.Defaults.Timeout)}},
	}
}

func (p Profile) settings() []setting {
	backend := ""
	if p.Backend.URL != nil {
		backend = p.Backend.String()
	}
	return []setting{str("backend", backend), str("token_file", p.TokenFile), str("ca_file", p.CAFile), boolean("keychain", p.Keychain)}
}

func (t Tunnel) settings() []setting {
	return []setting{
		str("target", t.Target), str("name", t.Name), str("profile", t.Profile),
		str("id", t.ID), str("host_header", t.HostHeader), duration("timeout", t.Timeout), boolean("start", t.Start),
	}
}

// knownKeys are all keys that this version knows, of whatever table.
func knownKeys() []string {
	keys := []string{"profiles", "tunnels"}
	settings := slices.Concat(Profile{}.settings(), Tunnel{}.settings())
	for _, s := range (&Config{}).sections() {
		keys = append(keys, s.name)
		settings = append(settings, s.settings...)
	}
	for _, s := range settings {
		keys = append(keys, s.key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// known is a key that this version knows: the decoder takes it in any case.
func known(key string) tomledit.Step { return tomledit.Step{Key: key, Fold: true} }

// rewrite makes of a text that says before one that says after.
func rewrite(text string, before, after *Config) (string, error) {
	e := &rewriting{text: text}
	afters := after.sections()
	for i, s := range before.sections() {
		var at tomledit.Path
		if s.name != "" {
			at = tomledit.Path{known(s.name)}
		}
		e.change(at, s.settings, afters[i].settings)
	}
	e.profiles(before.Profiles, after.Profiles)
	e.tunnels(before.Tunnels, after.Tunnels)
	return e.text, e.err
}

// rewriting is a text that is being changed. After an error it stays as it is.
type rewriting struct {
	text string
	err  error
}

func (e *rewriting) do(edit func(string) (string, error)) {
	if e.err == nil {
		e.text, e.err = edit(e.text)
	}
}

func (e *rewriting) set(p tomledit.Path, literal string) {
	e.do(func(text string) (string, error) {
		if literal == "" {
			return tomledit.Remove(text, p)
		}
		return tomledit.Set(text, p, literal)
	})
}

// change sets what differs between two lists of the same settings.
func (e *rewriting) change(at tomledit.Path, before, after []setting) {
	for i, s := range after {
		if s != before[i] {
			e.set(at.Append(known(s.key)), s.literal)
		}
	}
}

func (e *rewriting) profiles(before, after map[string]Profile) {
	at := func(name string) tomledit.Path {
		return tomledit.Path{known("profiles"), tomledit.Step{Key: name}}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[name]; !ok {
			e.set(at(name), "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		// A new one differs from nothing in all that it has.
		e.change(at(name), before[name].settings(), after[name].settings())
	}
}

// tunnels takes away those that are gone, adds the new ones at the end, changes what
// differs in the others, and puts all into their order.
func (e *rewriting) tunnels(before, after []Tunnel) {
	key := known("tunnels")
	element := func(i int) tomledit.Path { return tomledit.Path{key, {Elem: i + 1}} }
	from := pair(before, after)
	var left []Tunnel // of before, in the file
	for i := len(before) - 1; i >= 0; i-- {
		if slices.Contains(from, i) {
			left = append(left, before[i])
			continue
		}
		e.set(element(i), "")
		for j := range from {
			if from[j] > i {
				from[j]--
			}
		}
	}
	slices.Reverse(left)
	order := make([]int, len(after))
	for j, t := range after {
		if from[j] < 0 {
			from[j] = len(left)
			left = append(left, t)
			e.do(func(text string) (string, error) { return tomledit.Append(text, key, values(t.settings())) })
		}
		e.change(element(from[j]), left[from[j]].settings(), t.settings())
		order[j] = from[j] + 1
	}
	e.do(func(text string) (string, error) { return tomledit.Order(text, key, order) })
}

// values are the settings of a new tunnel.
func values(settings []setting) (vs []tomledit.Value) {
	for _, s := range settings {
		if s.literal != "" {
			vs = append(vs, tomledit.Value{Key: s.key, Literal: s.literal})
		}
	}
	return vs
}

// pair finds for every tunnel after a change the one that it was before; -1 for a new
// one. Tunnels have no names of their own: those that are the same in all, in
// target and name, and in one of the two belong together, in this order.
func pair(before, after []Tunnel) []int {
	from := slices.Repeat([]int{-1}, len(after))
	for _, alike := range []func(a, b Tunnel) bool{
		func(a, b Tunnel) bool { return a == b },
		func(a, b Tunnel) bool { return a.Target == b.Target && a.Name == b.Name },
		func(a, b Tunnel) bool { return a.Target == b.Target || a.Name == b.Name && a.Name != "" },
	} {
		for j := range after {
			for i := 0; i < len(before) && from[j] < 0; i++ {
				if alike(before[i], after[j]) && !slices.Contains(from, i) {
					from[j] = i
				}
			}
		}
	}
	return from
}

// same: two configurations say the same.
func same(a, b *Config) bool {
	return slices.EqualFunc(a.sections(), b.sections(), func(a, b section) bool { return slices.Equal(a.settings, b.settings) }) &&
		maps.EqualFunc(a.Profiles, b.Profiles, func(a, b Profile) bool { return slices.Equal(a.settings(), b.settings()) }) &&
		slices.Equal(a.Tunnels, b.Tunnels)
}
