package awslocal_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/runtime"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// agent is a forwarder that knows the table of form 1 and nothing else. It answers
// every request with the request's own line and body.
type agent struct {
	established map[string]any
}

func connect(t *testing.T, l *awslocal.Local, header http.Header) *agent {
	t.Helper()
	conn, answer, err := websocket.DefaultDialer.DialContext(t.Context(), l.AgentsURL(), header)
	if err != nil {
		t.Fatalf("%v %v", err, answer)
	}
	if err := conn.WriteJSON(map[string]any{"type": "ready"}); err != nil {
		t.Fatal(err)
	}
	a := new(agent)
	if err := conn.ReadJSON(&a.established); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m map[string]any
			if conn.ReadJSON(&m) != nil {
				return
			}
			if m["type"] != "http_request" {
				continue
			}
			body, _ := base64.StdEncoding.DecodeString(m["body"].(string))
			text := m["method"].(string) + " " + m["uri"].(string) + " " + string(body)
			if conn.WriteJSON(map[string]any{
				"type": "http_response", "request_id": m["request_id"], "status_code": 200,
				"headers": map[string][]string{"Content-Type": {"text/plain"}},
				"body":    base64.StdEncoding.EncodeToString([]byte(text)), "processing_time_ms": 1,
			}) != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return a
}

func (a *agent) url(t *testing.T, name string) string {
	t.Helper()
	s, _ := a.established[name].(string)
	if s == "" {
		t.Fatalf("%s is missing in %v", name, a.established)
	}
	return s
}

func visit(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// Names below localhost are this machine's in browsers and curl, but not in
	// every resolver.
	if host := r.URL.Hostname(); strings.HasSuffix(host, ".localhost") {
		r.Host = r.URL.Host
		r.URL.Host = "127.0.0.1:" + r.URL.Port()
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// A request goes all the way, in both forms of URL, and everything is counted.
func TestRequest(t *testing.T) {
	t.Parallel()
	l := awslocaltest.Start(t, awslocal.Config{Subdomains: true, Lines: lines(t)})
	a := connect(t, l, nil)
	if got := a.url(t, "public_url"); !strings.HasPrefix(got, "http://") {
		t.Errorf("public URL %q", got)
	}
	for _, form := range []string{"path_based_url", "subdomain_url"} {
		for range 3 { // by the store, dialling, pushed
			status, text := visit(t, http.MethodPost, a.url(t, form)+"/x?a=b", "hello")
			if status != http.StatusOK || text != "POST /x?a=b hello" {
				t.Errorf("%s %s: %d %q", form, a.url(t, form), status, text)
			}
		}
	}
	if status, text := visit(t, http.MethodGet, l.PublicURL()+"/nobody/x", ""); status != http.StatusNotFound {
		t.Errorf("unknown tunnel: %d %q", status, text)
	}
	used := l.Meter().Usage()
	if used.HTTPRequests != 7 || used.Invocations < 7+6+2 || used.WriteUnits == 0 || used.ReadUnits == 0 || used.Messages < 6*2 || used.Parameters == 0 || used.LogBytes == 0 {
		t.Errorf("counted %+v", used)
	}
	t.Logf("%+v", used)
	for _, c := range l.Meter().Calls() {
		t.Log(c)
	}
}

func lines(t *testing.T) func(runtime.Line) {
	return func(l runtime.Line) { t.Log(l.Function, l.Text) }
}
