package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds waits for what ought to happen soon; a passing test never uses it up.
const patience = 40 * time.Second

// process is the command, running.
type process struct {
	cmd    *exec.Cmd
	stdout io.ReadCloser
	lines  chan string // of stdout; closed at its end
	once   sync.Once
	stderr lockedBuffer
	done   chan struct{}
	code   int // after done
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// spawn starts the command. Nobody reads its output before read is called.
func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("culvert", args...), lines: make(chan string, 10_000), done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Environ(), "CULVERT_TOKEN=", "CULVERT_BACKEND=", "CULVERT_CONFIG_DIR=")
	p.cmd.Stderr = &p.stderr
	var err error
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.read()
		p.wait(t)
	})
	return p
}

// read takes what the command prints.
func (p *process) read() {
	p.once.Do(func() {
		go func() {
			defer close(p.lines)
			for s := bufio.NewScanner(p.stdout); s.Scan(); {
				p.lines <- s.Text()
			}
		}()
	})
}

// wait gives the exit code, or -1 if a signal ended the command.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-p.done:
			return
		default:
		}
		err := p.cmd.Wait()
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) {
			t.Errorf("waiting for the command: %v", err)
		}
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("the command does not end; stderr: %s", p.stderr.String())
	}
	return p.code
}

type event = map[string]any

// next gives the next line of that event.
func (p *process) next(t *testing.T, kind string) event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("the command has ended without %q; stderr: %s", kind, p.stderr.String())
			}
			var e event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("stdout has %q: %v", line, err)
			}
			if e["event"] == kind {
				return e
			}
		case <-timeout:
			t.Fatalf("no %q; stderr: %s", kind, p.stderr.String())
		}
	}
}

// says waits for a line with that text, and gives it.
func (p *process) says(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("the command has ended without %q; stderr: %s", text, p.stderr.String())
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("no %q; stderr: %s", text, p.stderr.String())
		}
	}
}

// complains waits for text on stderr.
func (p *process) complains(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(p.stderr.String(), text); {
		if time.Now().After(deadline) {
			t.Fatalf("stderr %q has no %q", p.stderr.String(), text)
		}
		time.Sleep(10 * time.Millisecond) // polling; the deadline decides
	}
}

func (p *process) url(t *testing.T) string {
	t.Helper()
	p.read()
	public, _ := p.next(t, "online")["public_url"].(string)
	return public
}

// service is a local service that says hello.
func service(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello "+r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// relayProcess starts a relay and gives its public URL.
func relayProcess(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	p := spawn(t, append([]string{"relay", "--listen", "127.0.0.1:0", "--config", t.TempDir()}, args...)...)
	p.read()
	_, public, _ := strings.Cut(p.says(t, "listens on"), "public URL ")
	return p, public
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// visits is a client whose connections do not outlive a request.
func visits() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
}
