package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// The test binary, started once more, is a program that ends in some way.
const (
	actAs = "CULVERT_TEST_CRASH"
	where = "CULVERT_TEST_CRASH_DIR"
)

// planted are secrets that programs have at hand when they crash.
const (
	plantedJWT   = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYW5hIn0.c2lnbmF0dXJlc2lnbmF0dXJlc2ln"
	plantedToken = "hunter2-hunter2-hunter2"
)

// ends are the ways in which a program ends.
var ends = map[string]func(){
	"panic":     func() { panic("no way out") },
	"goroutine": func() { go func() { panic(errors.New("beside")) }(); select {} },
	"nil": func() {
		var p *Report
		fmt.Println(p.Path)
	},
	"map": func() { fill(nil) },
	"stack": func() {
		debug.SetMaxStack(1 << 16)
		fmt.Println(deeper(1))
	},
	"secrets": func() { withArguments(plantedToken, []byte(plantedToken), map[string]string{"token": plantedToken}) },
	"exit":    func() { os.Exit(0) },
	"stop":    func() {},
}

func fill(m map[string]int) { m["x"] = 1 }

func deeper(n int) int {
	if n < 0 {
		return 0
	}
	return deeper(n+1) + n
}

//go:noinline
func withArguments(token string, bytes []byte, fields map[string]string) {
	defer func() {
		// Go prints all values of a panic that panics.
		panic(fmt.Errorf("POST /x?token=%s with Authorization: Bearer %s failed: %d", token, plantedJWT, len(bytes)+len(fields)))
	}()
	panic("first, password=" + token)
}

func TestMain(m *testing.M) {
	end, ok := ends[os.Getenv(actAs)]
	if !ok {
		os.Exit(m.Run())
	}
	stop, err := Watch(os.Getenv(where), "1.2.3")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	end()
	stop()
}

// end has a process end in one of the ways.
func end(t *testing.T, dir, way string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), actAs+"="+way, where+"="+dir)
	out, err := cmd.CombinedOutput()
	if crashed := way != "exit" && way != "stop"; crashed == (err == nil) {
		t.Fatalf("%v: %s", err, out)
	}
}

func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, folder, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCrashes(t *testing.T) {
	t.Parallel()
	for way, want := range map[string]string{
		"panic": "panic: no way out", "goroutine": "panic: beside",
		"nil": "panic: runtime error: invalid memory address or nil pointer dereference",
		"map": "panic: assignment to entry in nil map", "stack": "fatal error in runtime.newstack",
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			end(t, dir, way)
			r, err := Last(dir)
			if err != nil || r == nil {
				t.Fatal(r, err)
			}
			if !strings.HasPrefix(r.Reason, want) || r.Version != "1.2.3" || r.Time.IsZero() {
				t.Errorf("%+v", r)
			}
			text, err := os.ReadFile(r.Path)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{advice, "Culvert 1.2.3\n", runtime.Version(), strings.TrimPrefix(want, "fatal error in "), "goroutine ", "crash_test.go:"} {
				if !strings.Contains(string(text), part) {
					t.Errorf("no %q in\n%s", part, text)
				}
			}
			if info, err := os.Stat(r.Path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if again, err := Last(dir); again != nil || err != nil {
				t.Errorf("told again: %+v, %v", again, err)
			}
			if left := files(t, dir, "*"+raw); len(left) != 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// TestSecrets: Go prints no contents of memory, and what stands in the message does
// not get into the report.
func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	end(t, dir, "secrets")
	for _, path := range files(t, dir, "*"+raw) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		message, stacks, ok := strings.Cut(string(text), "\ngoroutine ")
		if !ok || !strings.Contains(message, plantedToken) {
			t.Errorf("nothing was planted in\n%s", text)
		}
		if strings.Contains(stacks, plantedToken) || strings.Contains(stacks, plantedJWT) {
			t.Errorf("a secret is in the stacks:\n%s", stacks)
		}
	}
	r, err := Last(dir)
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	text, err := os.ReadFile(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{plantedToken, plantedJWT, "c2lnbmF0dXJl"} {
		if strings.Contains(string(text)+r.Reason, secret) {
			t.Errorf("%q is in\n%s", secret, text)
		}
	}
	if !strings.Contains(string(text), "withArguments(") || !strings.Contains(string(text), "POST /x") {
		t.Errorf("too much was taken out:\n%s", text)
	}
}

func TestNoCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if r, err := Last(dir); r != nil || err != nil {
		t.Errorf("before the first run: %+v, %v", r, err)
	}
	for _, way := range []string{"stop", "exit"} {
		end(t, dir, way)
		if r, err := Last(dir); r != nil || err != nil {
			t.Errorf("%s: %+v, %v", way, r, err)
		}
		if left := files(t, dir, "*"); len(left) != 0 {
			t.Errorf("%s left %q", way, left)
		}
	}
}

// TestRunning: another process that runs may crash yet.
func TestRunning(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it keeps open files by itself")
	}
	dir := t.TempDir()
	f, err := create(dir, "1")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r, err := Last(dir); r != nil || err != nil || len(files(t, dir, "*"+raw)) != 1 {
		t.Errorf("%+v, %v, %q", r, err, files(t, dir, "*"))
	}
	if _, err := f.WriteString("panic: at last\n\ngoroutine 1 [running]:\n"); err != nil {
		t.Fatal(err)
	}
	if r, err := Last(dir); err != nil || r == nil || r.Reason != "panic: at last" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"panic: password=abc, x=1":         "panic: password=REDACTED, x=1",
		"panic: {Token:abc Name:shop}":     "panic: {Token:REDACTED Name:shop}",
		`panic: {"api_key": "a b", x}`:     `panic: {"api_key": REDACTED, x}`,
		"panic: index out of range [5]":    "panic: index out of range [5]",
		"panic: x\n\ngoroutine 1: token=1": "panic: x\n\ngoroutine 1: token=1",
		"panic: Bearer abcdefgh12345678":   "panic: Bearer REDACTED",
		"panic: " + plantedJWT:             "panic: REDACTED",
	} {
		if got := withoutSecrets(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 9 {
		path := filepath.Join(dir, folder, fmt.Sprintf("2026-11-21T10-00-0%d-1-x%s", i, raw))
		if err := os.WriteFile(path, []byte(head("1")+strings.Repeat(fmt.Sprintf("panic: %d\n", i), 100_000)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Last(dir)
	if err != nil || r == nil || r.Reason != "panic: 8" {
		t.Errorf("%+v, %v", r, err)
	}
	left := files(t, dir, "*")
	if len(left) != keep || left[keep-1] != r.Path {
		t.Errorf("left %q", left)
	}
	if info, err := os.Stat(r.Path); err != nil || info.Size() > 2*maxMessage {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
}

func TestNowhere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if stop, err := Watch(file, "1"); err == nil {
		stop()
		t.Error("a file in the folder's place")
	}
	if r, err := Last(file); r != nil || err == nil && runtime.GOOS != "windows" {
		t.Errorf("%+v, %v", r, err)
	}
}
