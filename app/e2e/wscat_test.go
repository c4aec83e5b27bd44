package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// wscat is the outside client: it knows WebSockets and nothing of tunnels, as the
// people do who type into it. https://github.com/websockets/wscat

// wscatProgram is its script. npm fetches what testdata/wscat/package-lock.json names,
// by checksum, once for each version of that file.
var wscatProgram = sync.OnceValues(func() (string, error) {
	source := filepath.Join("testdata", "wscat")
	lock, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "culvert", "wscat", fmt.Sprintf("%x", sha256.Sum256(lock))[:16])
	script := filepath.Join(dir, "node_modules", "wscat", "bin", "wscat")
	if _, err := os.Stat(script); err == nil {
		return script, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	if err := os.CopyFS(scratch, os.DirFS(source)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = scratch
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	// Another process may have been faster: one of the two folders is as good as the other.
	if err := os.Rename(scratch, dir); err != nil {
		if _, missing := os.Stat(script); missing != nil {
			return "", err
		}
	}
	return script, nil
})

// wscat is one running client.
type wscat struct {
	*process
	in   io.WriteCloser
	read int // lines of stdout that were looked at
}

// startWscat connects. args are wscat's own, such as -H or -o.
func startWscat(t testing.TB, url string, args ...string) *wscat {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%s is not installed: the tests with wscat need it (make setup installs it)", tool)
		}
	}
	script, err := wscatProgram()
	if err != nil {
		t.Fatalf("fetching wscat: %v", err)
	}
	if script, err = filepath.Abs(script); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", append([]string{script, "--no-color", "--connect", url}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &wscat{process: follow(t, "wscat", cmd), in: in}
}

// connect connects and waits until an answer has come. What is typed before the
// connection is there, wscat forgets.
func connect(t testing.TB, url string, args ...string) *wscat {
	t.Helper()
	w := startWscat(t, url, args...)
	eventually(t, func() error {
		select {
		case <-w.done:
			t.Fatalf("wscat ended with exit code %d: %s", w.code, w.errors())
		default:
		}
		w.send(t, `{"action":"ping","id":"hello"}`)
		if len(w.lines()) == 0 {
			return fmt.Errorf("wscat has printed nothing")
		}
		return nil
	})
	return w
}

// refused connects in vain and gives what wscat said of it.
func refused(t testing.TB, url string, args ...string) string {
	t.Helper()
	w := startWscat(t, url, args...)
	w.exit(t)
	return w.errors()
}

func (w *wscat) send(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(w.in, text+"\n"); err != nil {
		t.Fatalf("wscat takes no more input: %v", err)
	}
}

// lines are the messages that have come. wscat puts its prompts before them.
func (w *wscat) lines() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.stdout {
		for strings.HasPrefix(line, "> ") {
			line = line[len("> "):]
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// await gives the next message that fits, and forgets those before it, but for the
// answers to connect's own pings.
func (w *wscat) await(t testing.TB, what string, fits func(event) bool) event {
	t.Helper()
	var found event
	eventually(t, func() error {
		lines := w.lines()
		for ; w.read < len(lines); w.read++ {
			dec := json.NewDecoder(strings.NewReader(lines[w.read]))
			dec.UseNumber()
			var e event
			if err := dec.Decode(&e); err != nil {
				t.Fatalf("wscat got %q, which is no JSON object: %v", lines[w.read], err)
			}
			if e.str("id") != "hello" && fits(e) {
				w.read++
				found = e
				return nil
			}
		}
		select {
		case <-w.done:
			t.Fatalf("wscat ended with exit code %d before %s", w.code, what)
		default:
		}
		return fmt.Errorf("wscat has not got %s", what)
	})
	return found
}

// ask sends an action and gives its answer. The message's id must be unique.
func (w *wscat) ask(t testing.TB, id, message string) event {
	t.Helper()
	w.send(t, message)
	return w.await(t, "the answer to "+message, func(e event) bool { return e.str("id") == id && e.str("status") != "" })
}

// result gives an answer's result as JSON, or fails.
func result(t testing.TB, answer event) string {
	t.Helper()
	if answer.str("status") != "success" || answer["error"] != nil {
		t.Fatalf("%v is no success", answer)
	}
	text, err := json.Marshal(answer["result"])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// errorCode gives the code of an answer that is an error in the documented shape.
func errorCode(t testing.TB, answer event) string {
	t.Helper()
	e, _ := answer["error"].(map[string]any)
	code, _ := e["code"].(string)
	message, _ := e["message"].(string)
	if answer.str("status") != "error" || code == "" || message == "" || answer["result"] != nil {
		t.Fatalf("%v is no error of the documented shape", answer)
	}
	return code
}
