// Package crash keeps what Go says when the program dies of a mistake of its own,
// for the next start to tell of.
//
// Go prints the value of the panic and where every goroutine was: file names and
// numbers, but no contents of memory. So secrets can only be in the message, above
// the first goroutine. The runtime writes that itself, into a file that only its
// owner reads; the next start makes a report of it, with everything taken out that
// looks like a secret, and removes the file.
package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"culvert/app/config"
	"culvert/app/redact"
)

const (
	// folder is in the config folder; raw files end in one way, reports in the other.
	folder = "crashes"
	raw    = ".running"
	report = ".txt"
	// keep is how many reports there are at most.
	keep = 5
	// maxRaw bounds what is read of what the runtime wrote, and maxMessage what is kept
	// of its message, in bytes; maxReason the reason in a Report, in runes.
	maxRaw     = 512 << 10
	maxMessage = 32 << 10
	maxReason  = 200
	// stamp is the time in the names of files.
	stamp = "2006-01-02T15-04-05"
	// headEnd ends what Watch has written, before what the runtime writes.
	headEnd = "\n-- what Go said --\n"
)

// Report is what the last crash has left.
type Report struct {
	Path    string // of the file
	Time    time.Time
	Version string // of the program that crashed
	Reason  string // the first line of what Go said, such as "panic: …"
}

// Watch makes the runtime write to a file in dir when the program crashes. stop ends
// that and removes the file. A program that ends without stop or a crash leaves a
// file that the next Last removes.
func Watch(dir, version string) (stop func(), err error) {
	f, err := create(dir, version)
	if err != nil {
		return nil, fmt.Errorf("preparing for crash reports: %w", err)
	}
	path := f.Name()
	err = debug.SetCrashOutput(f, debug.CrashOptions{})
	if err = errors.Join(err, f.Close()); err != nil { // the runtime has one of its own
		_ = os.Remove(path)
		return nil, fmt.Errorf("preparing for crash reports: %w", err)
	}
	return func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{}) // taking it away does not fail
		_ = os.Remove(path)
	}, nil
}

func create(dir, version string) (*os.File, error) {
	dir = filepath.Join(dir, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, fmt.Sprintf("%s-%d-*%s", time.Now().UTC().Format(stamp), os.Getpid(), raw)) // 0600
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(f, head(version)); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

// head is what a file begins with.
func head(version string) string {
	return fmt.Sprintf("Culvert %s\n%s, %s/%s\n", strings.ReplaceAll(version, "\n", " "), runtime.Version(), runtime.GOOS, runtime.GOARCH) + headEnd
}

// Last gives the report of the newest crash that nobody has been told of, or nil. It
// is to be called before Watch, and tells of each crash once. A report that comes
// with an error can be shown nevertheless.
func Last(dir string) (*Report, error) {
	dir = filepath.Join(dir, folder)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var last *Report
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), raw) || !e.Type().IsRegular() {
			continue
		}
		r, failed := settle(dir, e.Name())
		err = errors.Join(err, failed)
		if r != nil && (last == nil || r.Time.After(last.Time)) {
			last = r
		}
	}
	if err = errors.Join(err, prune(dir)); err != nil {
		err = fmt.Errorf("reading crash reports: %w", err)
	}
	return last, err
}

// settle makes a report of a raw file, unless there was no crash, and removes it.
func settle(dir, name string) (*Report, error) {
	path := filepath.Join(dir, name)
	text, when, err := read(path)
	if err != nil {
		return nil, err
	}
	head, said, _ := bytes.Cut(text, []byte(headEnd))
	if len(bytes.TrimSpace(said)) == 0 {
		if alive(processOf(name)) {
			return nil, nil // it may crash yet
		}
		return nil, os.Remove(path)
	}
	said = []byte(withoutSecrets(string(said)))
	r := &Report{
		Path: filepath.Join(dir, strings.TrimSuffix(name, raw)+report),
		Time: when, Version: version(head), Reason: reason(said),
	}
	if err := config.WriteFile(r.Path, slices.Concat([]byte(advice), head, []byte("\n\n"), said)); err != nil {
		return nil, err
	}
	// Else it would be told of again.
	return r, os.Remove(path)
}

// advice is what a report begins with.
const advice = `Culvert has ended because of a mistake in it. Its tunnels were closed; nothing of
yours was changed. Please report it with what stands below: that is where in the
program it happened. What looked like a secret has been taken out, but have a look
at the first lines yourself before you pass them on.

`

func read(path string) (text []byte, when time.Time, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, when, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, when, err
	}
	text, err = io.ReadAll(io.LimitReader(f, maxRaw))
	return text, info.ModTime(), err
}

// withoutSecrets is what Go said, without what looks like a secret in its message.
func withoutSecrets(said string) string {
	message, stacks := said, ""
	if i := strings.Index(said, "\ngoroutine "); i >= 0 {
		message, stacks = said[:i], said[i:]
	}
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…\n"
	}
	message = redact.Text(message)
	return assignment.ReplaceAllString(message, "${1}${2}"+redact.Placeholder) + stacks
}

// assignment is a secret with its name, as programs print their values.
var assignment = regexp.MustCompile(`(?i)([\w-]*(?:passwor[dt]|passwd|secret|token|api[_-]?key|credential)s?"?)(\s*[=:]\s*)("[^"\n]*"|[^\s,;&"]+)`)

func version(head []byte) string {
	line, _, _ := strings.Cut(string(head), "\n")
	return strings.TrimPrefix(line, "Culvert ")
}

// reason is the line that says what happened. For some fatal errors the runtime
// prints only stacks; where it found the error then has to do.
func reason(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	line := lines[0]
	if line == "runtime stack:" {
		line = "fatal error"
		for _, l := range lines[1:] {
			if f, _, ok := strings.Cut(l, "("); ok && !strings.HasPrefix(l, "\t") && f != "runtime.throw" && f != "runtime.fatalthrow" {
				line += " in " + f
				break
			}
		}
	}
	line = strings.ToValidUTF8(line, "?")
	if r := []rune(line); len(r) > maxReason {
		line = string(r[:maxReason]) + "…"
	}
	return line
}

// processOf is the process that a raw file is of; 0 if its name does not say.
func processOf(name string) int {
	parts := strings.Split(strings.TrimSuffix(name, raw), "-")
	if len(parts) < 2 {
		return 0
	}
	pid, _ := strconv.Atoi(parts[len(parts)-2])
	return pid
}

// prune leaves the newest reports.
func prune(dir string) error {
	reports, err := filepath.Glob(filepath.Join(dir, "*"+report))
	if err != nil {
		return err
	}
	slices.Sort(reports) // by time, as they are named by it
	for _, old := range reports[:max(0, len(reports)-keep)] {
		err = errors.Join(err, os.Remove(old))
	}
	return err
}
