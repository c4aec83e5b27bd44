package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"culvert/backend/awslocal/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// function answers every event with the same, and keeps the latest.
type function struct {
	result runtime.Result
	err    error

	mu      sync.Mutex
	payload []byte
	calls   int
}

func (f *function) Invoke(_ context.Context, payload []byte) (runtime.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.payload = payload
	f.calls++
	return f.result, f.err
}

func (f *function) event(t *testing.T) map[string]any {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.payload == nil {
		t.Fatal("the function was not invoked")
	}
	var e map[string]any
	if err := json.Unmarshal(f.payload, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func answering(payload string) *function {
	return &function{result: runtime.Result{Payload: []byte(payload)}}
}

func newAPI(t *testing.T, c Config) *API {
	t.Helper()
	if c.Function == nil {
		c.Function = answering(`{"statusCode":200}`)
	}
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve runs a handler on a real socket and returns its address.
func serve(t *testing.T, server *http.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return listener.Addr().String()
}

// exchange sends raw bytes and reads one answer to a request with the method.
func exchange(t *testing.T, addr, method, raw string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// ask sends a request past any socket.
func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RequestURI = target
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
