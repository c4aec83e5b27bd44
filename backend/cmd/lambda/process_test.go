package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

func TestMain(m *testing.M) {
	status := m.Run()
	_ = os.RemoveAll(bootstrapDir)
	if err := goleak.Find(); status == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// build makes the program as it is deployed.
func build(path string, env ...string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w -buildid=", "-o", path, ".")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

var bootstrapDir string

// bootstrap is the program for this machine, built once.
var bootstrap = sync.OnceValues(func() (string, error) {
	var err error
	if bootstrapDir, err = os.MkdirTemp("", "culvert-bootstrap-"); err != nil {
		return "", err
	}
	path := filepath.Join(bootstrapDir, "bootstrap")
	return path, build(path, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
})

// environment is a process of the program, with as much of Lambda's runtime API as
// one of them needs.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type environment struct {
	next    chan string   // events
	answers chan response // to them
	asked   chan time.Time
	ready   time.Time // when it asked first
	out     bytes.Buffer
	exited  chan struct{}
	status  int
}

type response struct {
	kind string // "response" or "error"
	typ  string
	body []byte
}

// start runs the program for a role. It is killed at the end of the test.
func start(t testing.TB, variables ...string) *environment {
	t.Helper()
	path, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{next: make(chan string), answers: make(chan response, 8), asked: make(chan time.Time, 8), exited: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	cmd := exec.Command(path)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + srv.Listener.Addr().String()}, variables...)
	cmd.Stdout, cmd.Stderr = &e.out, &e.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(e.exited)
		_ = cmd.Wait()
		e.status = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-e.exited
		cancel()
		srv.Close()
	})
	return e
}

func (e *environment) serve(w http.ResponseWriter, r *http.Request) {
	switch _, kind, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/invocation/"), "/"); kind {
	case "":
		e.asked <- time.Now()
		select {
		case text := <-e.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "the-id")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(20*time.Second).UnixMilli(), 10))
			_, _ = io.WriteString(w, text)
		case <-r.Context().Done():
		}
	default:
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		e.answers <- response{kind, r.Header.Get("Content-Type"), body}
	}
}

func (e *environment) invoke(t testing.TB, text string) response {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case at := <-e.asked:
			if e.ready.IsZero() {
				e.ready = at
			}
			e.next <- text
		case r := <-e.answers:
			return r
		case <-e.exited:
			t.Fatalf("the program ended with %d:\n%s", e.status, &e.out)
		case <-late:
			t.Fatal("no answer")
		}
	}
}

func (e *environment) wait(t *testing.T) {
	t.Helper()
	select {
	case <-e.exited:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
}

// variablesOf is what the template gives a function; the endpoints lead nowhere.
func variablesOf(role string) []string {
	switch role {
	case "processor":
		return []string{"CULVERT_ROLE=processor"}
	case "notices":
		return []string{
			"CULVERT_ROLE=notices", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=hush",
			"CULVERT_CONNECTIONS_TABLE=connections", "CULVERT_USERS_TABLE=users", "CULVERT_AGENTS_API=http://127.0.0.1:1/live",
			"CULVERT_NOTIFY_USER_ARN=arn:aws:sqs:eu-west-1:1:user", "CULVERT_NOTIFY_CONNECTION_ARN=arn:aws:sqs:eu-west-1:1:connection",
			"CULVERT_NOTIFY_CONNECTION_URL=http://127.0.0.1:1/1/connection", "AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:1",
		}
	}
	variables := []string{
		"CULVERT_ROLE=" + role, "CULVERT_KEYS_PARAMETER=/culvert/keys", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=hush",
		"CULVERT_TUNNELS_TABLE=tunnels", "CULVERT_ANSWERS_TABLE=answers", "CULVERT_BUCKET=bodies",
		"CULVERT_AGENTS_API=http://127.0.0.1:1/live", "CULVERT_WAITERS_API=http://127.0.0.1:1/live", "CULVERT_WAITERS_URL=ws://127.0.0.1:1/live",
		"CULVERT_PUBLIC_URL=https://tunnel.example.com", "CULVERT_SUBDOMAIN_URL=https://tunnel.example.com",
		"AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:1", "AWS_ENDPOINT_URL_SSM=http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1",
	}
	if role == "agents" { // the others have no right to it
		variables = append(variables, "CULVERT_CONNECTIONS_TABLE=connections", "CULVERT_USERS_TABLE=users",
			"CULVERT_PROCESSOR=processor", "AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:1")
	}
	return variables
}

const (
	healthV2 = `{"version":"2.0","routeKey":"$default","rawPath":"/_culvert/healthz","headers":{"host":"tunnel.example.com"},` +
		`"requestContext":{"http":{"method":"GET","sourceIp":"192.0.2.7"},"domainName":"tunnel.example.com","stage":"$default","routeKey":"$default"}}`
	healthV1 = `{"version":"1.0","path":"/_culvert/healthz","httpMethod":"GET","headers":{"Host":"tunnel.example.com"},` +
		`"requestContext":{"httpMethod":"GET","identity":{"sourceIp":"192.0.2.7"},"domainName":"tunnel.example.com","stage":"$default"}}`
	healthURL = `{"version":"2.0","routeKey":"$default","rawPath":"/_culvert/healthz","headers":{"host":"x.lambda-url.eu-west-1.on.aws"},` +
		`"requestContext":{"http":{"method":"GET","sourceIp":"192.0.2.7"},"domainName":"x.lambda-url.eu-west-1.on.aws"}}`
	messageOfNobody = `{"requestContext":{"routeKey":"$default","eventType":"MESSAGE"},"body":"{\"type\":\"ready\"}"}`
	call            = `{"action":"reverse","data":"abc","user":"ann","connectionId":"R1k=","time":"2026-03-01T12:00:00Z"}`
	askNone         = `{"action":"nothing","time":"2026-03-01T12:00:00Z"}`
	wrong           = `{"Records":[{"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:1:user","messageId":"m1","body":"{}"}]}`
	nameless        = `{"Records":[{"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:1:user","body":"{}"}]}`
)

// Each function starts without anybody to call, serves its events one after the
// other in one process, and refuses the others'.
func TestFunctions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ role, event, answer string }{
		{"public", healthV2, `"statusCode":200`},
		{"public", healthV1, `"multiValueHeaders"`},
		{"public", messageOfNobody, `"statusCode":400`},
		{"stream", healthURL, `{"statusCode":200,`},
		{"stream", healthV2, `{"statusCode":400,`},
		{"agents", messageOfNobody, `"statusCode":400`},
		{"agents", healthV2, `"statusCode":400`},
		{"keys", healthV2, `"statusCode":400`},
		{"keys", `{}`, `"statusCode":400`},
		{"keys", call, `"statusCode":400`},
		{"agents", call, `"statusCode":400`},
		{"processor", call, `{"result":"cba"}`},
		{"processor", askNone, `{"error":{"code":"not_implemented"`},
		{"processor", healthV2, `{"error":{"code":"invalid_request"`},
		{"processor", wrong, `{"error":{"code":"invalid_request"`},
		{"notices", wrong, `{"batchItemFailures":[{"itemIdentifier":"m1"}]}`},
		{"notices", nameless, `"errorMessage":"event refused`},
		{"notices", healthV2, `"errorMessage":"event refused`},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			e := start(t, variablesOf(c.role)...)
			for range 2 {
				got := e.invoke(t, c.event)
				want := "response"
				if strings.Contains(c.answer, "errorMessage") { // the queue has to bring it again
					want = "error"
				}
				if got.kind != want || !bytes.Contains(got.body, []byte(c.answer)) {
					t.Fatalf("%s: %s %s, want %s", c.event, got.kind, got.body, c.answer)
				}
				streams := got.typ == "application/vnd.awslambda.http-integration-response"
				if streams != (c.role == "stream") || streams != bytes.Contains(got.body, make([]byte, 8)) {
					t.Errorf("%s: %s %q", c.role, got.typ, got.body)
				}
			}
		})
	}
}

func TestBadEnvironment(t *testing.T) {
	t.Parallel()
	variables := variablesOf("agents")
	for i, v := range variables {
		if strings.HasPrefix(v, "CULVERT_AGENTS_API=") {
			variables[i] = "CULVERT_AGENTS_API=wss://abc.execute-api.eu-west-1.amazonaws.com/live"
		}
	}
	e := start(t, append(variables, "CULVERT_MAX_TUNNELS=many")...)
	e.wait(t)
	if e.status != 1 {
		t.Errorf("it ended with %d", e.status)
	}
	var causes []string
	for text := range bytes.Lines(e.out.Bytes()) {
		var line struct{ Level, Cause string }
		if err := json.Unmarshal(text, &line); err != nil || line.Level != "ERROR" {
			t.Errorf("%s: %v", text, err)
		}
		causes = append(causes, line.Cause)
	}
	if len(causes) != 2 || !strings.Contains(causes[0], "CULVERT_AGENTS_API begins with wss://") || !strings.Contains(causes[1], "CULVERT_MAX_TUNNELS") {
		t.Errorf("%q", causes)
	}
}

// BenchmarkStart measures the time from the start of the process until it asks for
// its first event, which is Lambda's init phase, and until that one is answered.
func BenchmarkStart(b *testing.B) {
	for _, role := range []string{"public", "agents", "stream", "keys", "processor", "notices"} {
		b.Run(role, func(b *testing.B) {
			if _, err := bootstrap(); err != nil {
				b.Fatal(err)
			}
			var ready, answered time.Duration
			for b.Loop() {
				began := time.Now()
				e := start(b, variablesOf(role)...)
				e.invoke(b, healthV2)
				ready += e.ready.Sub(began)
				answered += time.Since(began)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(ready.Microseconds())/1e3/float64(b.N), "ms/ready")
			b.ReportMetric(float64(answered.Microseconds())/1e3/float64(b.N), "ms/answered")
		})
	}
}
