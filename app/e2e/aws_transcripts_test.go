package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// The files in testdata/transcripts are what was said on the wire when one half of
// the original system met the other half of this one: its forwarder at this
// backend, and its Lambda, run by the local account's stand-ins, at this agent. A
// line is a message of the backend or of the agent, a visitor's request, or the
// answer that the visitor got.
//
// IDs, times, versions, keys and addresses are replaced by names that are always the
// same; everything else is as it was. A difference found here means that the other
// half, which nobody can change any more, now hears or says something new.
type transcriptLine struct {
	Visitor *transcriptVisit  `json:"visitor"`
	Backend json.RawMessage   `json:"backend"`
	Agent   json.RawMessage   `json:"agent"`
	Answer  *transcriptAnswer `json:"answer"`
}

type transcriptVisit struct {
	Method string      `json:"method"`
	Target string      `json:"target"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"` // base64
}

type transcriptAnswer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// The names in transcripts.
const (
	transcriptTunnel     = "abcdefgh1234"
	transcriptConnection = "CONNECTION"
	transcriptHost       = "tunnel.example.com"
	transcriptService    = "127.0.0.1:30000"
)

func readTranscript(t testing.TB, name string) []transcriptLine {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "transcripts", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []transcriptLine
	scan := bufio.NewScanner(file)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var line transcriptLine
		dec := json.NewDecoder(bytes.NewReader(scan.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&line); err != nil {
			t.Fatalf("%s, line %d: %v", name, len(lines)+1, err)
		}
		lines = append(lines, line)
	}
	if len(lines) < 30 {
		t.Fatalf("%s has %d lines: %v", name, len(lines), scan.Err())
	}
	return lines
}

// transcriptMessage is what counts of a message: its fields, but not the times.
func transcriptMessage(t testing.TB, text []byte, names *strings.Replacer) map[string]any {
	t.Helper()
	if names != nil {
		text = []byte(names.Replace(string(text)))
	}
	text = traceID.ReplaceAll(text, []byte(someTraceID))
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // integers never become floats
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	for _, name := range []string{"timestamp", "processing_time_ms"} {
		if v, ok := m[name]; ok {
			if !regexp.MustCompile(`^\d+$`).MatchString(fmt.Sprint(v)) {
				t.Errorf("%s is %v", name, v)
			}
			m[name] = "(now)"
		}
	}
	return m
}

// testAWSOriginalAgent has this backend serve the original forwarder, as recorded.
func testAWSOriginalAgent(t *testing.T, aws *account) {
	ws, resp, err := websocket.DefaultDialer.Dial(aws.agents+"/live", nil)
	if err != nil {
		t.Fatalf("dialling as an agent: %v (%v)", err, resp)
	}
	defer ws.Close()
	next := func() []byte {
		_ = ws.SetReadDeadline(time.Now().Add(patience))
		kind, text, err := ws.ReadMessage()
		if err != nil || kind != websocket.TextMessage {
			t.Fatalf("reading: %v, kind %d", err, kind)
		}
		return text
	}
	type visited struct {
		answer transcriptAnswer
		err    error
	}
	answers := make(chan visited, 1)
	_, port, _ := strings.Cut(strings.TrimPrefix(aws.visitors, "http://"), ":")
	hosts := []string{"127.0.0.1:" + port, transcriptHost, "localhost:" + port, transcriptHost}
	var names *strings.Replacer
	var base, requestID string
	for i, line := range readTranscript(t, "original-agent.jsonl") {
		at := fmt.Sprintf("line %d", i+1)
		switch {
		case line.Agent != nil:
			var m message
			if err := json.Unmarshal(line.Agent, &m); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			text := line.Agent
			if m.RequestID != "" {
				text = bytes.Replace(text, []byte(m.RequestID), []byte(requestID), 1)
			}
			if err := ws.WriteMessage(websocket.TextMessage, text); err != nil {
				t.Fatal(err)
			}
		case line.Backend != nil:
			text := next()
			m, err := checkMessage(text, false)
			if err != nil {
				t.Errorf("%s: %v", at, err)
			}
			var recorded message
			if err := json.Unmarshal(line.Backend, &recorded); err != nil {
				t.Fatal(err)
			}
			if m.Type == "connection_established" {
				base = m.PathBasedURL
				hosts = append(hosts, m.TunnelID, transcriptTunnel, m.ConnectionID, transcriptConnection)
			}
			requestID = m.RequestID
			names = strings.NewReplacer(hosts...)
			if requestID != "" {
				names = strings.NewReplacer(append([]string{requestID, recorded.RequestID}, hosts...)...)
			}
			if diff := cmp.Diff(transcriptMessage(t, line.Backend, nil), transcriptMessage(t, text, names)); diff != "" {
				t.Errorf("%s: the agent hears: recorded - now +\n%s", at, diff)
			}
		case line.Visitor != nil:
			go func() {
				var v visited
				v.answer, v.err = line.Visitor.make(t, base)
				answers <- v
			}()
		case line.Answer != nil:
			select {
			case got := <-answers:
				if got.err != nil {
					t.Fatalf("%s: %v", at, got.err)
				}
				for name, values := range got.answer.Header {
					for i := range values {
						values[i] = names.Replace(values[i])
					}
					got.answer.Header[name] = values
				}
				if diff := cmp.Diff(*line.Answer, got.answer); diff != "" {
					t.Errorf("%s: the visitor gets: recorded - now +\n%s", at, diff)
				}
			case <-time.After(patience):
				t.Fatalf("%s: the visitor got no answer", at)
			}
		}
	}
}

// make makes the request, and gives what does not depend on when.
func (v *transcriptVisit) make(t testing.TB, base string) (transcriptAnswer, error) {
	req, err := http.NewRequestWithContext(t.Context(), v.Method, base+v.Target, bytes.NewReader(v.Body))
	if err != nil {
		return transcriptAnswer{}, err
	}
	maps.Copy(req.Header, v.Header)
	req.Header.Set("User-Agent", "transcript")
	req.Header.Set("Accept-Encoding", "identity")
	got, err := do(t, req)
	got.header.Del("Date")
	got.header.Del("Apigw-Requestid")
	return transcriptAnswer{got.status, got.header, []byte(got.body)}, err
}

// TestTranscriptOriginalBackend has this agent serve the original Lambda, as recorded.
func TestTranscriptOriginalBackend(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(transcriptPages))
	service.Config.SetKeepAlivesEnabled(false) // at its end nothing is left half open
	names := strings.NewReplacer(hostOf(t, service.URL), transcriptService)
	lines := readTranscript(t, "original-backend.jsonl")
	var visitors int
	for _, line := range lines {
		if line.Visitor != nil {
			visitors++
		}
	}
	done := make(chan struct{})
	replay := func(ws *websocket.Conn) error {
		var visited int
		for i, line := range lines {
			switch {
			case line.Visitor != nil:
				if visited++; visited == visitors { // the last finds nobody
					service.CloseClientConnections()
					service.Close()
				}
			case line.Backend != nil:
				if err := ws.WriteMessage(websocket.TextMessage, line.Backend); err != nil {
					return err
				}
			case line.Agent != nil:
				_ = ws.SetReadDeadline(time.Now().Add(patience))
				_, text, err := ws.ReadMessage()
				if err != nil {
					return fmt.Errorf("line %d: %w", i+1, err)
				}
				want, got := transcriptMessage(t, line.Agent, nil), transcriptMessage(t, text, names)
				if want["type"] == "ready" {
					// It declares more as versions pass; the original reads the type alone.
					want, got = map[string]any{"type": "ready"}, map[string]any{"type": got["type"]}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("line %d: the agent says: recorded - now +\n%s", i+1, diff)
				}
			}
		}
		return nil
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		ws, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err == nil {
			defer ws.Close()
			err = replay(ws)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(backend.Close)
	p := agentSpec{target: service.URL, backend: "ws" + backend.URL[len("http"):] + "/live"}.start(t)
	online := p.awaitEvent(t, "online")
	if got, want := online.str("public_url"), "https://"+transcriptHost+"/"+transcriptTunnel; got != want {
		t.Errorf("public URL %q, want %q", got, want)
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the transcript is not at its end")
	}
	p.stop(t)
}

// transcriptPages is the local service whose answers are in the transcripts.
func transcriptPages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", "Sat, 01 Jan 2000 00:00:00 GMT")
	switch r.URL.Path {
	case "/binary":
		body := make([]byte, 256)
		for i := range body {
			body[i] = byte(i)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(body)
	case "/redirect":
		w.Header().Add("Set-Cookie", "a=1; Path=/")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	case "/missing":
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "not here\n")
	case "/multi":
		w.Header()["X-Multi"] = []string{"1", "2"}
		w.WriteHeader(http.StatusNoContent)
	default:
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s X-A=%q %x", r.Method, r.RequestURI, r.Header["X-A"], body)
	}
}
