package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of a revocation list.
const (
	maxRevocations      = 1 << 20 // bytes
	maxRevocationsLines = 10_000
)

// Revocation takes tokens back: one, or those of a user. Exactly one of ID and User is
// set.
type Revocation struct {
	// ID is the token's name (jti).
	ID string
	// User is the subject whose tokens are meant: those issued before Before, or at a
	// time that they do not say; zero: all.
	User   string
	Before time.Time
}

// String is the line of the list.
func (r Revocation) String() string {
	switch {
	case r.ID != "":
		return "id " + word(r.ID)
	case r.Before.IsZero():
		return "user " + word(r.User)
	}
	return "user " + word(r.User) + " " + r.Before.UTC().Format(time.RFC3339)
}

// word is a name as the list has it: in quotes if it would be read as something else.
func word(name string) string {
	if q := strconv.Quote(name); strings.ContainsAny(name, " #") || q != `"`+name+`"` {
		return q
	}
	return name
}

// ParseRevocations reads a list: a line for each revocation, "id JTI", "user SUB" or
// "user SUB TIME" with an RFC 3339 time. Names with spaces or # stand in double quotes,
// as Go writes them; # begins a comment.
func ParseRevocations(text []byte) ([]Revocation, error) {
	if len(text) > maxRevocations {
		return nil, errors.New("longer than " + kilobytes(maxRevocations))
	}
	var list []Revocation
	n := 0
	for line := range strings.Lines(string(bytes.TrimPrefix(text, []byte("\ufeff")))) {
		if n++; n > maxRevocationsLines {
			return nil, fmt.Errorf("more than %d lines", maxRevocationsLines)
		}
		words, err := split(line)
		if err == nil && len(words) == 0 {
			continue
		}
		var r Revocation
		if err == nil {
			r, err = parseRevocation(words)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// split takes a line apart.
func split(line string) (words []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t\r\n")
		switch {
		case line == "" || line[0] == '#':
			return words, nil
		case line[0] == '"':
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, errors.New("a quote that does not end")
			}
			name, err := strconv.Unquote(q)
			if err != nil {
				return nil, errors.New("a quote that cannot be read")
			}
			if line = line[len(q):]; line != "" && !strings.ContainsRune(" \t\r\n", rune(line[0])) {
				return nil, errors.New("no space after a quote")
			}
			words = append(words, name)
		default:
			end := strings.IndexAny(line, " \t\r\n")
			if end < 0 {
				end = len(line)
			}
			words, line = append(words, line[:end]), line[end:]
		}
	}
}

func parseRevocation(words []string) (Revocation, error) {
	what := words[0]
	switch {
	case what == "id" && len(words) == 2 && words[1] != "":
		return Revocation{ID: words[1]}, nil
	case what == "user" && (len(words) == 2 || len(words) == 3) && words[1] != "":
		r := Revocation{User: words[1]}
		if len(words) == 3 {
			var err error
			if r.Before, err = time.Parse(time.RFC3339, words[2]); err != nil || r.Before.IsZero() {
				return r, fmt.Errorf("%.80q is no time such as %s", words[2], "2026-01-31T12:00:00Z")
			}
		}
		return r, nil
	}
	return Revocation{}, errors.New(`want "id JTI", "user SUB" or "user SUB TIME"`)
}

// Revocations is a list of revoked tokens in a file, which is read again when it
// changes. It is safe for use by many goroutines.
type Revocations struct {
	// Logger is told when the list cannot be read any more, once. Set it before the
	// first use; nil: slog's default.
	Logger *slog.Logger

	mu    sync.Mutex
	file  watched
	ids   map[string]struct{}
	users map[string]time.Time // those issued before that time; zero: all
}

// OpenRevocations reads the list for the first time.
func OpenRevocations(path string) (*Revocations, error) {
	r := &Revocations{}
	r.file = watched{path: path, max: maxRevocations, parse: r.parse}
	err, _ := r.file.look()
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: make an empty file if nothing is revoked yet", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the revocation list: %w", err)
	}
	return r, nil
}

func (r *Revocations) parse(text []byte) error {
	list, err := ParseRevocations(text)
	if err != nil {
		return err
	}
	r.ids, r.users = map[string]struct{}{}, map[string]time.Time{}
	for _, l := range list {
		if l.ID != "" {
			r.ids[l.ID] = struct{}{}
			continue
		}
		before, known := r.users[l.User]
		if !known || !before.IsZero() && (l.Before.IsZero() || l.Before.After(before)) {
			r.users[l.User] = l.Before
		}
	}
	return nil
}

// Revoked reports whether the token was taken back. While the file cannot be read, what
// it held before goes on to count.
func (r *Revocations) Revoked(i Identity) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reread()
	if _, ok := r.ids[i.ID]; ok { // no line has an empty name
		return true
	}
	before, ok := r.users[i.Subject]
	return ok && (before.IsZero() || i.IssuedAt.Before(before)) // a token that tells no time is older than any
}

func (r *Revocations) reread() {
	err, mended := r.file.look()
	if err == nil && !mended {
		return
	}
	log := r.Logger
	if log == nil {
		log = slog.Default()
	}
	if err != nil {
		log.Error("the revocation list cannot be read: what it held before goes on to count, and nothing new", "err", err)
	} else {
		log.Info("the revocation list can be read again", "file", r.file.path)
	}
}

// Revoke appends a line to the list, which is made if it is not there, with a comment
// that says what it is about. It reports whether that was needed. Nothing is added to
// a list that backends would refuse to read.
func Revoke(path string, r Revocation, comment string) (added bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("adding to the revocation list: %w", err)
		}
	}()
	text, err := readBounded(path, maxRevocations)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	list, err := ParseRevocations(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w: backends go on with what they read before, so mend that first", path, err)
	}
	if slices.Contains(list, r) {
		return false, nil
	}
	line := r.String()
	if comment != "" {
		line += " # " + strings.Join(strings.Fields(comment), " ")
	}
	line += "\n"
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	if _, err := ParseRevocations(append(text, line...)); err != nil {
		return false, fmt.Errorf("%s would become %w: take out what has expired", path, err)
	}
	// One write at the file's end: whoever reads the list sees all of the line or
	// nothing, and whoever writes to it at the same time takes nothing away.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(line)
	return err == nil, errors.Join(err, f.Sync(), f.Close())
}
