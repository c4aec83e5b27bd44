package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// lambdaModule is where the sources of aws-lambda-go are: with them come the events
// that AWS publishes for tests.
var lambdaModule = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go list: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
})

func published(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := lambdaModule()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ours are the published events of the kinds that are served.
var ours = map[string]Kind{
	"events/testdata/apigw-request.json":                        HTTPv1,
	"events/testdata/apigw-restapi-openapi-request.json":        HTTPv1,
	"events/testdata/apigw-v2-request-iam.json":                 HTTPv2,
	"events/testdata/apigw-v2-request-jwt-authorizer.json":      HTTPv2,
	"events/testdata/apigw-v2-request-lambda-authorizer.json":   HTTPv2,
	"events/testdata/apigw-v2-request-no-authorizer.json":       HTTPv2,
	"events/testdata/lambda-urls-request.json":                  FunctionURL,
	"events/testdata/apigw-websocket-request.json":              WebSocket,
	"events/testdata/apigw-websocket-request-send-message.json": WebSocket,
	"events/testdata/apigw-websocket-request-disconnect.json":   WebSocket,
	"cfn/testdata/cloudformation-event.json":                    CustomResource,
	"events/testdata/sqs-event.json":                            Queue,
}

// Of all events that AWS publishes, ours are recognised, and no others.
func TestPublishedEvents(t *testing.T) {
	t.Parallel()
	dir, err := lambdaModule()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range ours {
		e, err := Parse(published(t, name))
		if err != nil || e.Kind != want {
			t.Errorf("%s: %v, %v; want %v", name, e.Kind, err, want)
		}
		checkInvariants(t, name, e, err)
	}
	foreign := 0
	for _, folder := range []string{"events/testdata", "cfn/testdata"} {
		paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(folder), "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name := folder + "/" + filepath.Base(path)
			if _, ok := ours[name]; ok {
				continue
			}
			foreign++
			e, err := Parse(published(t, name))
			if e == nil || e.Kind != Unknown || !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %+v, %v; want it refused", name, e, err)
			}
		}
	}
	if foreign < 50 {
		t.Errorf("only %d foreign events found", foreign)
	}
}

// checkInvariants checks what every reader of an event relies on.
func checkInvariants(t *testing.T, name string, e *Event, err error) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: untyped error %v", name, err)
		}
		if e == nil || e.Request != nil || e.Message != nil || e.Resource != nil || e.Batch != nil || e.Call != nil {
			t.Errorf("%s: an error and a part of the event: %+v", name, e)
		}
		return
	}
	count := 0
	if r := e.Request; r != nil {
		count++
		if !e.Kind.HTTP() || r.Kind != e.Kind {
			t.Errorf("%s: a request of the kind %v", name, e.Kind)
		}
		if err := visitor.CheckTarget(r.Method, r.Target); err != nil || !strings.HasPrefix(r.Target, "/") {
			t.Errorf("%s: target %q: %v", name, r.Target, err)
		}
		if !httpguts.ValidHeaderFieldName(r.Method) {
			t.Errorf("%s: method %q", name, r.Method)
		}
		if _, ok := visitor.ParseIP(r.SourceIP); !ok {
			t.Errorf("%s: address %q", name, r.SourceIP)
		}
		for _, field := range []string{"Host", "Content-Length", "Connection", "Transfer-Encoding"} {
			if r.Header[field] != nil {
				t.Errorf("%s: header has %s", name, field)
			}
		}
		checkHeader(t, name, r.Header)
	}
	if m := e.Message; m != nil {
		count++
		if e.Kind != WebSocket || m.ConnectionID == "" || !slices.Contains([]string{Connect, Text, Disconnect}, m.EventType) {
			t.Errorf("%s: message %+v", name, m)
		}
		checkHeader(t, name, m.Header)
	}
	if r := e.Resource; r != nil {
		count++
		if e.Kind != CustomResource || r.RequestID == "" || r.LogicalID == "" || !strings.HasPrefix(r.ResponseURL, "http") {
			t.Errorf("%s: resource %+v", name, r)
		}
	}
	if b := e.Batch; b != nil {
		count++
		if e.Kind != Queue || len(b.Items) == 0 {
			t.Errorf("%s: batch %+v", name, b)
		}
		for _, item := range b.Items {
			if item.ID == "" || item.Queue == "" || item.Receives < 0 {
				t.Errorf("%s: item %+v", name, item)
			}
		}
	}
	if c := e.Call; c != nil {
		count++
		if e.Kind != Action || c.Action == "" || len(c.Action) > wire.MaxActionName || len(c.Data) > wire.MaxAction || c.Connection != "" && !IsConnectionID(c.Connection) {
			t.Errorf("%s: call %+v", name, c)
		}
		if len(c.Data) > 0 && !json.Valid(c.Data) {
			t.Errorf("%s: data that is no JSON", name)
		}
	}
	if count != 1 {
		t.Errorf("%s: %d parts for the kind %v", name, count, e.Kind)
	}
}

func checkHeader(t *testing.T, name string, h http.Header) {
	t.Helper()
	for field, values := range h {
		if field != http.CanonicalHeaderKey(field) || !httpguts.ValidHeaderFieldName(field) || len(values) == 0 {
			t.Errorf("%s: header field %q: %q", name, field, values)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				t.Errorf("%s: header field %s has the value %q", name, field, value)
			}
		}
	}
}

// Whatever is missing from an event, or is of another type, it stays of its kind or
// is refused: half a message never becomes a request, and nothing panics.
func TestCutEvents(t *testing.T) {
	t.Parallel()
	for name, kind := range ours {
		var whole any
		if err := json.Unmarshal(published(t, name), &whole); err != nil {
			t.Fatal(err)
		}
		tried := 0
		for what, cut := range variants(whole) {
			text, err := json.Marshal(cut)
			if err != nil {
				t.Fatal(err)
			}
			tried++
			label := name + " with " + what
			e, err := Parse(text)
			checkInvariants(t, label, e, err)
			k, _ := KindOf(text)
			if k != e.Kind && err == nil {
				t.Errorf("%s: Parse says %v, KindOf %v", label, e.Kind, k)
			}
			if related := e.Kind.HTTP() && kind.HTTP(); e.Kind != kind && e.Kind != Unknown && !related {
				t.Errorf("%s: became %v", label, e.Kind)
			}
			if kind == WebSocket && strings.Contains(what, "connectionId") && err == nil {
				t.Errorf("%s: accepted", label)
			}
		}
		if tried < 15 {
			t.Errorf("%s: only %d variants", name, tried)
		}
	}
}

// variants gives copies of a value without one of its members, at any depth, or with
// another value in its place.
func variants(v any) map[string]any {
	all := make(map[string]any)
	object, ok := v.(map[string]any)
	if !ok {
		return all
	}
	for name, member := range object {
		without := maps.Clone(object)
		delete(without, name)
		all["no "+name] = without
		for _, other := range []any{nil, true, 7.5, -1, "", "x\r\ny: z", "\u0000", "%", []any{}, []any{1}, []any{"a", nil}, map[string]any{}, map[string]any{"a": 1, "b\n": "c"}, map[string]any{"a": []any{"b", 2}}} {
			changed := maps.Clone(object)
			changed[name] = other
			all[fmt.Sprintf("%s = %q", name, fmt.Sprint(other))] = changed
		}
		for what, inner := range variants(member) {
			changed := maps.Clone(object)
			changed[name] = inner
			all[name+": "+what] = changed
		}
	}
	return all
}

func FuzzParse(f *testing.F) {
	for name := range ours {
		f.Add(published(f, name))
	}
	f.Add([]byte(`{"requestContext":{"http":{"method":"GET","path":"/a?b#c%"}},"headers":{"A":"b"},"cookies":["c"]}`))
	f.Add(calling(nil))
	f.Add(queued(nil))
	f.Add([]byte(`{"httpMethod":"GET","path":"x","multiValueQueryStringParameters":{"a":["1","2"],"a":null}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Parse(raw)
		checkInvariants(t, "event", e, err)
		if err == nil && e.Request != nil {
			for _, k := range []Kind{HTTPv1, HTTPv2, FunctionURL} {
				if _, err := (&Answer{Status: 200, Header: e.Request.Header, Body: e.Request.Body}).Encode(k); err != nil {
					t.Errorf("the request cannot be an answer to a %v: %v", k, err)
				}
			}
		}
	})
}
