// Package tomledit changes single values of a TOML text and leaves the rest as it
// is, byte for byte: comments, order, blank lines, and keys that mean nothing to
// whoever edits.
//
// It finds where everything stands with a scanner of its own, which checks little:
// the text must be one that a decoder has accepted. Every edit scans anew, so that
// none has to keep account of where another one has moved things to. Whoever
// writes the result to a file makes sure first that a decoder finds in it what was
// wanted.
//
// https://toml.io/en/v1.1.0
package tomledit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Step is one step of a Path: into a table by a key, or into an array by a number.
type Step struct {
	Key string
	// Elem counts an array's elements from 1; 0 for a step into a table.
	Elem int
	// Fold: keys that differ in case only are this one.
	Fold bool
}

// Path leads to a value, from the whole text.
type Path []Step

// Keys is a path of keys.
func Keys(keys ...string) Path {
	var p Path
	for _, k := range keys {
		p = append(p, Step{Key: k})
	}
	return p
}

// Append is p and one step more.
func (p Path) Append(s Step) Path { return append(p[:len(p):len(p)], s) }

func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.Elem > 0:
			fmt.Fprintf(&b, "[%d]", s.Elem)
			continue
		case i > 0:
			b.WriteByte('.')
		}
		b.WriteString(Key(s.Key))
	}
	return b.String()
}

func (s Step) is(o Step) bool {
	if s.Elem != o.Elem {
		return false
	}
	return s.Key == o.Key || (s.Fold || o.Fold) && strings.EqualFold(s.Key, o.Key)
}

// under reports whether p is at or below q.
func (p Path) under(q Path) bool {
	if len(p) < len(q) {
		return false
	}
	for i, s := range q {
		if !s.is(p[i]) {
			return false
		}
	}
	return true
}

// Value is a key with its value as it stands in TOML: see String, Bool and Int.
type Value struct{ Key, Literal string }

// Key writes a key, in quotes if it needs them.
func Key(key string) string {
	bare := key != "" && strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	if bare {
		return key
	}
	return String(key)
}

// String writes a string, on one line. No TOML can hold one that is not UTF-8.
func String(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch r {
		case utf8.RuneError: // perhaps a byte that is no text, and must not become one
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			if r < ' ' || r == 0x7f {
				fmt.Fprintf(&b, `\u%04X`, r)
			} else {
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Bool writes a boolean.
func Bool(v bool) string { return fmt.Sprint(v) }

// Int writes an integer.
func Int(v int) string { return fmt.Sprint(v) }
