package runtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"culvert/backend/awslocal/runtime"
)

// program is testdata/function, built once.
var program string

func TestMain(m *testing.M) {
	if path := os.Getenv(orphanVariable); path != "" {
		runUntilKilled(path)
	}
	dir, err := os.MkdirTemp("", "culvert-runtime")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", program, "./testdata/function")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the test's function:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// log keeps lines and reports.
type log struct {
	mu      sync.Mutex
	lines   []runtime.Line
	reports []runtime.Report
}

func (l *log) line(line runtime.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *log) report(r runtime.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports = append(l.reports, r)
}

func (l *log) outcomes() (all []runtime.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.reports {
		all = append(all, r.Outcome)
	}
	return all
}

func start(t *testing.T, c runtime.Config) (*runtime.Lambda, *log) {
	t.Helper()
	l := &log{}
	c.Name, c.Bootstrap, c.Log, c.Observe = "test", program, l.line, l.report
	if c.Timeout == 0 {
		c.Timeout = time.Minute // slow machines must not decide
	}
	if c.InitTimeout == 0 {
		c.InitTimeout = time.Minute
	}
	f, err := runtime.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	return f, l
}

func invoke(t *testing.T, f runtime.Function, payload string) string {
	t.Helper()
	r, err := f.Invoke(t.Context(), []byte(payload))
	if err != nil || r.FunctionError != "" {
		t.Fatalf("invoking with %s: %v, %s %s", payload, err, r.FunctionError, r.Payload)
	}
	return string(r.Payload)
}

func TestWarmEnvironmentIsUsedAgain(t *testing.T) {
	t.Parallel()
	f, l := start(t, runtime.Config{})
	for want := range 3 {
		if got := invoke(t, f, `{"action":"count"}`); got != fmt.Sprint(want+1) {
			t.Errorf("invocation %d was number %s of its environment", want+1, got)
		}
	}
	if n := f.Environments(); n != 1 {
		t.Errorf("%d environments for one invocation at a time", n)
	}
	if l.reports[0].Init == 0 || l.reports[1].Init != 0 {
		t.Errorf("start reported as %v, then %v", l.reports[0].Init, l.reports[1].Init)
	}
	if r := l.reports[0]; r.In != 18 || r.Out != 1 || r.Billed() < time.Millisecond || r.Billed()%time.Millisecond != 0 {
		t.Errorf("report %+v", r)
	}
	f.Recycle()
	if got := invoke(t, f, `{"action":"count"}`); got != "1" {
		t.Errorf("after recycling, invocation number %s", got)
	}
}

func TestWhatAnInvocationSees(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{Timeout: time.Minute, AccountID: "1", Region: "eu-west-1"})
	ctx := runtime.WithCall(t.Context(), runtime.Call{RequestID: "req-1", TraceID: "Root=1-2-3"})
	r, err := f.Invoke(ctx, []byte(`{"action":"context"}`))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID, ARN, Trace string
		LeftMS         int64 `json:"left_ms"`
	}
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != "req-1" || got.Trace != "Root=1-2-3" || got.ARN != "arn:aws:lambda:eu-west-1:1:function:test" ||
		got.LeftMS <= 0 || got.LeftMS > 60_000 {
		t.Errorf("the function saw %+v", got)
	}
}

func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("CULVERT_TEST_SECRET", "leaked")
	f, _ := start(t, runtime.Config{Env: map[string]string{"MINE": "yes"}})
	var lines []string
	if err := json.Unmarshal([]byte(invoke(t, f, `{"action":"environ"}`)), &lines); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, line := range lines {
		k, v, _ := strings.Cut(line, "=")
		got[k] = v
	}
	known := []string{"PATH", "LANG", "TZ", "_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME",
		"AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_INITIALIZATION_TYPE",
		"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "_X_AMZN_TRACE_ID", "PWD", "MINE"}
	for _, name := range known {
		if name != "PWD" && got[name] == "" {
			t.Errorf("%s is not set", name)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("also set: %v", got)
	}
	if name, ok := runtime.FunctionOf(f.Credentials().AccessKeyID); !ok || name != "test" {
		t.Errorf("the access key ID tells %q", name)
	}
}

func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, payload, kind, message string
		outcome                      runtime.Outcome
		err                          error
		fresh                        bool // the next invocation meets a fresh environment
	}{
		{"error", `{"action":"fail","text":"no luck"}`, "errorString", "no luck", runtime.Failed, nil, false},
		{"panic", `{"action":"panic","text":"oh"}`, "string", "oh", runtime.Crashed, nil, true},
		{"exit", `{"action":"exit"}`, "Runtime.ExitError", "exit status 7", runtime.Crashed, nil, true},
		{"timeout", `{"action":"hang"}`, "Sandbox.Timedout", "Task timed out after 2.00 seconds", runtime.TimedOut, runtime.ErrTimeout, true},
		{"too large", `{"action":"large","size":6291557}`, "Function.ResponseSizeTooLarge", "6291556", runtime.Crashed, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := runtime.Config{}
			if tt.err == runtime.ErrTimeout {
				c.Timeout = 2 * time.Second
			}
			f, l := start(t, c)
			r, err := f.Invoke(t.Context(), []byte(tt.payload))
			if !errors.Is(err, tt.err) || r.FunctionError != "Unhandled" {
				t.Fatalf("got %v, %q", err, r.FunctionError)
			}
			var told struct{ ErrorType, ErrorMessage string }
			if err := json.Unmarshal(r.Payload, &told); err != nil {
				t.Fatal(err)
			}
			if told.ErrorType != tt.kind || !strings.Contains(told.ErrorMessage, tt.message) {
				t.Errorf("told %+v", told)
			}
			got := l.outcomes()[0]
			if tt.name == "too large" && got == runtime.Failed {
				got = runtime.Crashed // as far as its runtime lives on
			}
			if got != tt.outcome {
				t.Errorf("reported as %q", got)
			}
			if tt.fresh {
				if got := invoke(t, f, `{"action":"count"}`); got != "1" {
					t.Errorf("the next invocation was number %s of its environment", got)
				}
			} else if got := invoke(t, f, `{"action":"count"}`); got != "2" {
				t.Errorf("the next invocation was number %s of its environment", got)
			}
		})
	}
}

func TestFailedStarts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ start, want string }{
		{"exit", "Runtime exited with error: exit status 3"},
		{"hang", "Init timed out after 1.00 seconds"},
	} {
		t.Run(tt.start, func(t *testing.T) {
			t.Parallel()
			f, l := start(t, runtime.Config{InitTimeout: time.Second, Env: map[string]string{"START": tt.start}})
			r, err := f.Invoke(t.Context(), []byte(`{"action":"count"}`))
			if err != nil || r.FunctionError == "" || !strings.Contains(string(r.Payload), tt.want) {
				t.Errorf("got %v, %q %s", err, r.FunctionError, r.Payload)
			}
			if got := l.outcomes(); !cmp.Equal(got, []runtime.Outcome{runtime.InitFailed}) {
				t.Errorf("reported as %v", got)
			}
			if n := f.Environments(); n != 0 {
				t.Errorf("%d environments", n)
			}
		})
	}
}

func TestPayloadLimits(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{})
	text := fmt.Appendf(nil, `{"action":"echo","text":%q}`, bytes.Repeat([]byte("x"), 3<<20))
	if got := invoke(t, f, string(text)); got != string(text) {
		t.Errorf("3 MB came back as %d bytes", len(got))
	}
	if _, err := f.Invoke(t.Context(), make([]byte, runtime.MaxRequest+1)); !errors.Is(err, runtime.ErrTooLarge) {
		t.Errorf("over 6 MB: %v", err)
	}
	if got := invoke(t, f, `{"action":"large","size":6291556}`); len(got) != runtime.MaxResponse {
		t.Errorf("the largest answer came as %d bytes", len(got))
	}
}

func TestCallerWhoLeavesChangesNothing(t *testing.T) {
	t.Parallel()
	f, l := start(t, runtime.Config{})
	invoke(t, f, `{"action":"count"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := f.Invoke(ctx, []byte(`{"action":"hang"}`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := invoke(t, f, `{"action":"count"}`); got != "1" {
		t.Error("an invocation whose caller left gave its environment back")
	}
	f.Stop()
	if got := len(l.outcomes()); got != 3 {
		t.Errorf("%d reports", got)
	}
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, runtime.ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	f, l := start(t, runtime.Config{})
	const size = 600 << 10
	if _, err := f.Invoke(t.Context(), fmt.Appendf(nil, `{"action":"log","size":%d}`, size)); err != nil {
		t.Fatal(err)
	}
	f.Stop()
	var out []string
	long := 0
	for _, line := range l.lines {
		if line.Function != "test" || !strings.Contains(line.Environment, "[$LATEST]") || len(line.Text) > 256<<10 {
			t.Errorf("line of %s %s with %d bytes", line.Function, line.Environment, len(line.Text))
		}
		if line.Stderr {
			long += strings.Count(line.Text, "x")
		} else {
			out = append(out, line.Text)
		}
	}
	if diff := cmp.Diff([]string{"to stdout", "no line feed"}, out); diff != "" {
		t.Error(diff)
	}
	if long != size {
		t.Errorf("%d bytes of a line of %d", long, size)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	small := runtime.NewAccount(10)
	for _, c := range []runtime.Config{
		{},
		{Name: "a b", Bootstrap: program},
		{Name: "a"},
		{Name: "a", Bootstrap: filepath.Dir(program)},
		{Name: "a", Bootstrap: program + "-missing"},
		{Name: "a", Bootstrap: program, Timeout: 901 * time.Second},
		{Name: "a", Bootstrap: program, Reserved: -1},
		{Name: "a", Bootstrap: program, Env: map[string]string{"AWS_REGION": "x"}},
		{Name: "a", Bootstrap: program, Env: map[string]string{"AWS_LAMBDA_X": "x"}},
		{Name: "a", Bootstrap: program, Env: map[string]string{"A=B": "x"}},
		{Name: "a", Bootstrap: program, Env: map[string]string{"A": "x\x00"}},
		{Name: "a", Bootstrap: program, Account: small, Reserved: 1},
	} {
		if f, err := runtime.New(c); err == nil {
			f.Stop()
			t.Errorf("accepted %+v", c)
		}
	}
}
