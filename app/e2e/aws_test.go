package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The tests in the files aws_*_test.go have `culvert aws-local` for a backend: the
// real Lambda program behind a stand-in of API Gateway that has its limits. What
// these files allow to be different from the relay is what AWS makes different.

// bootstrap is the Lambda functions' program, built once.
var bootstrap = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CULVERT_BOOTSTRAP"); path != "" {
		return filepath.Abs(path)
	}
	if dir := os.Getenv("CULVERT_BIN_DIR"); dir != "" {
		path := filepath.Join(dir, "bootstrap")
		_, err := os.Stat(path)
		return path, err
	}
	path := filepath.Join(buildDir, "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-o", path, "culvert/backend/cmd/lambda")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building bootstrap: %w\n%s", err, out)
	}
	return path, nil
})

// TestAWS is what can share one account. One goes after the other: each has as many
// functions run at once as it takes, and every one of those is a process here.
func TestAWS(t *testing.T) {
	t.Parallel()
	aws := startAccount(t, accountSpec{args: []string{"--subdomains", "--function-url", "127.0.0.1:0"}})
	for _, test := range []struct {
		name string
		run  func(*testing.T, *account)
	}{
		{"form 1, pushed", func(t *testing.T, aws *account) {
			// The first requests of each environment use the table.
			if pushed, stored := testAWSForm1(t, aws); pushed < 5 {
				t.Errorf("%d answers were pushed and %d stored", pushed, stored)
			}
		}},
		{"the original agent", testAWSOriginalAgent},
		{"httpbin", testAWSHTTPBin},
		{"events", testAWSEvents},
		{"heads", testAWSHeads},
		{"upgrade", testAWSUpgrade},
		{"faults", testAWSFaults},
		{"limits", testAWSLimits},
		{"streams", testAWSStream},
		{"no streams", testAWSNoStream},
		{"browser", testAWSBrowser},
		{"actions", testAWSActions},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, aws) })
	}
}

// account is a running `culvert aws-local`.
type account struct {
	*process
	agents   string // what agents dial
	visitors string // base of the path form
	stream   string // the Function URL, "" without
	log      string // what the functions wrote, a file
}

// accountSpec says how to start one.
type accountSpec struct {
	args []string
	// env is for the functions, over what they are told by the stand-in: NAME=VALUE,
	// or NAME to take a variable away.
	env []string
}

// starting has room for the accounts that start at the same time. Each is a Java
// program or two that want a processor for seconds.
var starting = make(chan struct{}, 2)

// startAccount starts a whole account and waits until it is ready.
func startAccount(t testing.TB, spec accountSpec) *account {
	t.Helper()
	starting <- struct{}{}
	defer func() { <-starting }()
	a := &account{}
	a.process, a.log = spec.start(t)
	a.ready(t)
	return a
}

// start starts an account on free ports and waits for nothing.
func (s accountSpec) start(t testing.TB) (p *process, log string) {
	t.Helper()
	program, log := functionsProgram(t, s.env)
	args := append([]string{"aws-local", "--lambda", program, "--config", t.TempDir()}, s.args...)
	for _, flag := range []string{"--http", "--ws"} {
		if !slices.Contains(s.args, flag) {
			args = append(args, flag, "127.0.0.1:0")
		}
	}
	return startProcess(t, "culvert", javaAndCache(t), args...), log
}

// javaAndCache are the settings with which DynamoDB Local is found where it is, and
// fetched once.
func javaAndCache(t testing.TB) []string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_CACHE_HOME=" + cache}
	npmrc := os.Getenv("NPM_CONFIG_USERCONFIG")
	if home, err := os.UserHomeDir(); npmrc == "" && err == nil {
		npmrc = filepath.Join(home, ".npmrc")
	}
	if npmrc != "" {
		env = append(env, "NPM_CONFIG_USERCONFIG="+npmrc)
	}
	if java := os.Getenv("JAVA_HOME"); java != "" {
		env = append(env, "JAVA_HOME="+java)
	}
	return env
}

// functionsProgram is the Lambda program in a shell script that keeps what it writes
// (on AWS: its log group) and changes its environment.
func functionsProgram(t testing.TB, env []string) (program, log string) {
	t.Helper()
	real, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, log = filepath.Join(dir, "bootstrap"), filepath.Join(dir, "log")
	script := "#!/bin/sh\n"
	for _, e := range env {
		name, value, set := strings.Cut(e, "=")
		if !set {
			script += "unset " + name + "\n"
			continue
		}
		script += fmt.Sprintf("export %s='%s'\n", name, value)
	}
	script += fmt.Sprintf("exec '%s' >>'%s' 2>&1\n", real, log)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		text, err := os.ReadFile(log)
		for _, trouble := range []string{"panic: ", "fatal error: ", "crashed"} {
			if strings.Contains(string(text), trouble) {
				t.Errorf("a function fell over: %q", trouble)
			}
		}
		if t.Failed() && err == nil {
			t.Logf("the functions' log ends with:\n%s", text[max(0, len(text)-6000):])
		}
	})
	return program, log
}

// ready waits until the account says that it is, and where.
func (a *account) ready(t testing.TB) {
	t.Helper()
	line := a.says(t, "culvert aws-local is ready: ")
	a.agents, a.visitors = wordAfter(line, "agents dial "), wordAfter(line, "visitors come to ")
	if slices.Contains(a.cmd.Args, "--function-url") {
		a.stream = wordAfter(a.says(t, "streamed answers at "), "streamed answers at ")
	}
}

func wordAfter(line, before string) string {
	_, after, _ := strings.Cut(line, before)
	word, _, _ := strings.Cut(after, " ")
	return strings.TrimSuffix(word, ",")
}

// says waits for a line of stdout that begins so.
func (p *process) says(t testing.TB, prefix string) (line string) {
	t.Helper()
	eventually(t, func() error {
		p.mu.Lock()
		lines := p.stdout
		p.mu.Unlock()
		for _, line = range lines {
			if strings.HasPrefix(line, prefix) {
				return nil
			}
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended with exit code %d before it said %q", p.name, p.code, prefix)
		default:
		}
		return fmt.Errorf("%s has not said %q", p.name, prefix)
	})
	return line
}

// form gives the base of a tunnel's URLs: in path form, in subdomain form, or in path
// form at the Function URL.
func (a *account) form(agent *agent, form string) string {
	switch form {
	case "path":
		return agent.path("")
	case "subdomain":
		return agent.subdomain("")
	}
	return a.stream + "/" + agent.id()
}

// invocations are the lines of the functions' log that tell of a tunnel's visitors.
func (a *account) invocations(t testing.TB, tunnel string) (lines []event) {
	t.Helper()
	file, err := os.Open(a.log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scan := bufio.NewScanner(file)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		dec := json.NewDecoder(strings.NewReader(scan.Text()))
		dec.UseNumber()
		var e event
		if dec.Decode(&e) == nil && e.str("tunnel") == tunnel && e.num("Requests") > 0 {
			lines = append(lines, e)
		}
	}
	return lines
}

// ways counts how the answers to a tunnel's visitors came: pushed to the environment
// that waited, or found in the table.
func (a *account) ways(t testing.TB, tunnel string) (pushed, stored int64) {
	t.Helper()
	for _, line := range a.invocations(t, tunnel) {
		pushed += max(0, line.num("Pushed"))
		stored += max(0, line.num("Stored"))
	}
	return pushed, stored
}

// tunnel starts an agent of the account for a local service.
func (a *account) tunnel(t testing.TB, local http.Handler, agentArgs ...string) *agent {
	t.Helper()
	return startAgent(t, agentSpec{target: serve(t, local).URL, backend: a.agents, args: agentArgs})
}
