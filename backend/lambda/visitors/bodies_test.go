package visitors

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// fakeBodies is an object store.
type fakeBodies struct {
	mu        sync.Mutex
	requests  map[string][]byte
	answers   map[string][]byte
	err       error
	puts      int
	reads     int
	lastOffer int64
}

func newFakeBodies() *fakeBodies {
	return &fakeBodies{requests: map[string][]byte{}, answers: map[string][]byte{}}
}

func (b *fakeBodies) PutRequest(_ context.Context, key string, body []byte) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.puts++
	if b.err != nil {
		return "", b.err
	}
	b.requests[key] = bytes.Clone(body)
	return "https://bucket.example.test/requests/" + key + "?X-Amz-Signature=1", nil
}

func (b *fakeBodies) OfferAnswer(_ context.Context, key string, max int64) (*wire.Upload, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastOffer = max
	return &wire.Upload{URL: "https://bucket.example.test/", Fields: map[string]string{"key": key}, MaxBytes: max}, nil
}

func (b *fakeBodies) Answer(_ context.Context, key string, max int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	body, ok := b.answers[key]
	if !ok || int64(len(body)) > max {
		return nil, errors.New("no such body")
	}
	return body, nil
}

// echo is a request whose answer is its body; the type decides about compression.
func (w *world) echo(body []byte, contentType string) (int, []byte) {
	w.t.Helper()
	a := w.serve(postRequest("/shop/echo", body, contentType))
	return a.Status, a.Body
}

func without(caps []wire.Capability, drop ...wire.Capability) []wire.Capability {
	return slices.DeleteFunc(slices.Clone(caps), func(c wire.Capability) bool { return slices.Contains(drop, c) })
}

func TestBodies(t *testing.T) {
	const text = "application/json"
	long := []byte(strings.Repeat(`{"a":"text that compresses well"},`, 60_000)) // 2 MB
	for _, c := range []struct {
		name     string
		caps     []wire.Capability
		body     []byte
		kind     string
		status   int
		requests int // messages that make up the request
	}{
		{"none", everything, nil, "", 200, 1},
		{"bytes of all kinds", everything, []byte{0, 0xff, '\n', '"', '<'}, "", 200, 1},
		{"original, fits", nil, noise(95_000, 1), "", 200, 1},
		{"original, does not", nil, noise(100_000, 1), "", 413, 0},
		{"one message", everything, noise(90_000, 1), "", 200, 1},
		{"two messages", everything, noise(150_000, 1), "", 200, 2},
		{"many", everything, noise(1<<20, 1), "", 200, 11},
		{"all", everything, noise(wire.MaxParts, 1), "", 200, 66},
		{"too many", everything, noise(wire.MaxParts+1, 1), "", 413, 0},
		{"compressed", everything, long, text, 200, 1},
		{"not compressed for those who cannot", without(everything, wire.CapGzip), long, text, 200, 22},
		{"no parts for those who cannot", without(everything, wire.CapChunks), noise(100_000, 1), "", 413, 0},
		{"compressed into one message for those without parts", without(everything, wire.CapChunks), []byte(strings.Repeat("x", 200_000)), "text/plain", 200, 1},
		{"nothing of all that without a session", without(everything, wire.CapSession), noise(150_000, 1), "", 413, 0},
	} {
		for _, way := range []string{"", waiterConn} {
			if len(c.body) == wire.MaxParts && way == "" {
				continue // once is enough of what takes so long
			}
			t.Run(c.name+" "+way, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, w *world) {
					a := w.agent(c.caps...)
					w.named = way
					if !a.can(wire.CapChunks) {
						a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
							return &wire.HTTPResponse{StatusCode: 200, Body: r.Body[:min(len(r.Body), 1000)]}
						}
					}
					status, body := w.echo(c.body, c.kind)
					if status != c.status {
						t.Fatalf("status %d, want %d: %.200s", status, c.status, body)
					}
					if n := w.counted("posts"); n != c.requests {
						t.Errorf("%d messages, want %d", n, c.requests)
					}
					want := c.body
					if !a.can(wire.CapChunks) {
						want = want[:min(len(want), 1000)]
					}
					if status == 200 && !bytes.Equal(body, want) {
						t.Errorf("%d bytes came back, want %d", len(body), len(want))
					}
					if status == 413 && !strings.Contains(string(body), "bytes") {
						t.Errorf("the limit is not named: %s", body)
					}
				})
			})
		}
	}
}

func TestHeaderTooLarge(t *testing.T) {
	for name, caps := range map[string][]wire.Capability{"declared": everything, "original": nil} {
		bubbleNamed(t, name, func(t *testing.T, w *world) {
			w.agent(caps...)
			r := get("/shop/")
			r.Header.Set("X-Large", strings.Repeat("x", 130<<10))
			if a := w.serve(r); a.Status != 400 || w.counted("posts") != 0 {
				t.Errorf("status %d, %d posts", a.Status, w.counted("posts"))
			}
		})
	}
}

// Parts that get lost on their way are asked for by number, both ways.
func TestLostParts(t *testing.T) {
	for _, way := range []string{"", waiterConn} {
		t.Run("of the request "+way, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				w.named = way
				lost := map[int]bool{}
				receive := w.agents[agentConn]
				w.agents[agentConn] = func(text []byte) {
					m, _ := wire.DecodeDeclared(text, wire.MaxGatewayMessage)
					if c, ok := m.(*wire.Chunk); ok && (c.Seq == 2 || c.Seq == 4) {
						a.mu.Lock()
						again := lost[c.Seq]
						lost[c.Seq] = true
						a.mu.Unlock()
						if !again {
							return
						}
					}
					receive(text)
				}
				start := time.Now()
				body := noise(500_000, 1)
				status, got := w.echo(body, "")
				if status != 200 || !bytes.Equal(got, body) {
					t.Fatalf("status %d, %d bytes", status, len(got))
				}
				if took := time.Since(start); took > 4*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
		t.Run("of the answer "+way, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				w.named = way
				var mu sync.Mutex
				lost := map[string]bool{}
				a.send = func(text []byte) {
					m, _ := wire.DecodeDeclared(text, wire.MaxGatewayMessage)
					key := ""
					switch m := m.(type) {
					case *wire.HTTPResponse:
						key = "head"
					case *wire.Chunk:
						if m.Seq%2 == 0 {
							key = string(rune('0' + m.Seq))
						}
					}
					mu.Lock()
					again := lost[key]
					lost[key] = true
					mu.Unlock()
					if key == "" || again {
						w.fromAgent(agentConn, text)
					}
				}
				body := noise(700_000, 1)
				start := time.Now()
				status, got := w.echo(body, "")
				if status != 200 || !bytes.Equal(got, body) {
					t.Fatalf("status %d, %d bytes", status, len(got))
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
				if n := len(gotOf[*wire.Resend](a)); n != 1 {
					t.Errorf("asked %d times for all that was missing", n)
				}
			})
		})
	}
}

// An agent that asks for parts again and again is not worth any price.
func TestResendsAreBounded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		w.named = waiterConn
		a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
			zero := 0
			for range 100 {
				time.Sleep(100 * ms)
				a.emit(&wire.Resend{RequestID: r.RequestID, From: &zero, Session: a.session})
			}
			return &wire.HTTPResponse{StatusCode: 200}
		}
		w.expectStatus("asking", "/shop/", 200)
		if n := w.counted("posts"); n > 1+12 {
			t.Errorf("%d posts", n)
		}
		if n := len(gotOf[*wire.HTTPRequest](a)); n != 1+mostBegins {
			t.Errorf("the head was sent %d times", n)
		}
	})
}

// Parts above one that never comes are read once, not with every look at the store:
// reading costs by the byte, and an agent may put megabytes there.
func TestPartsAboveAHoleAreReadOnce(t *testing.T) {
	for name, seqs := range map[string][]int{
		"no head":      {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		"many holes":   {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20},
		"high numbers": {900, 901, 902, 1000, 1001},
	} {
		bubbleNamed(t, name, func(t *testing.T, w *world) {
			a := w.agent(everything...)
			a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
				for _, seq := range seqs {
					if body := noise(90_000, 1); seq == 0 {
						a.emit(&wire.HTTPResponse{RequestID: r.RequestID, StatusCode: 200, Body: body, More: true, BodySize: 6 << 20, Session: a.session})
					} else {
						a.emit(&wire.Chunk{RequestID: r.RequestID, Seq: seq, Body: body, Session: a.session, Resent: true})
					}
				}
				return nil
			}
			w.expectStatus("with holes", "/shop/", 504)
			stored := 0
			w.set(func() {
				for _, parts := range w.answers {
					for _, text := range parts {
						stored += len(text)
					}
				}
			})
			if n := len(seqs) * 120_000; stored < n {
				t.Fatalf("%d bytes stored, want %d", stored, n)
			}
			if w.read > stored {
				t.Errorf("%d bytes stored, and %d read", stored, w.read)
			}
		})
	}
}

// What a stream's agent stores without credit is not even read.
func TestPartsBeyondTheCreditAreNotRead(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
			for seq := range 30 {
				a.emit(&wire.Chunk{RequestID: r.RequestID, Seq: creditWindow + 1 + seq, Body: noise(90_000, 1), Session: a.session, Resent: true})
			}
			return nil
		}
		s := w.v.Stream(t.Context(), get("/shop/"))
		s.Body.Close()
		if s.Status != 504 || w.read != 0 {
			t.Errorf("status %d, %d bytes read", s.Status, w.read)
		}
	})
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	aside := store.Span{From: store.PartError}
	for name, c := range map[string]struct {
		whole, stream []store.Span
		parts         []int
		last          int // 0: not there
	}{
		"nothing":   {store.From(0), []store.Span{{From: 0, Below: 9}, aside}, nil, 0},
		"in order":  {store.From(2), []store.Span{{From: 2, Below: 9}, aside}, []int{0, 1}, 0},
		"no head":   {[]store.Span{{From: 0, Below: 1}, {From: 3}}, []store.Span{{From: 0, Below: 1}, {From: 3, Below: 9}, aside}, []int{1, 2}, 0},
		"holes":     {[]store.Span{{From: 1, Below: 3}, {From: 4, Below: 5}, {From: 6}}, []store.Span{{From: 1, Below: 3}, {From: 4, Below: 5}, {From: 6, Below: 9}, aside}, []int{0, 3, 5}, 0},
		"to an end": {[]store.Span{{From: 1, Below: 2}, aside}, []store.Span{{From: 1, Below: 2}, aside}, []int{0}, 2},
		"all":       {[]store.Span{aside}, []store.Span{aside}, []int{0, 1}, 2},
	} {
		for _, in := range []*inbox{{}, {window: newWindow()}} {
			want := c.whole
			if in.window != nil {
				want = c.stream
			}
			for _, seq := range c.parts {
				in.takePart(seq, []byte("x"), false)
			}
			if c.last > 0 {
				in.takePart(c.last, nil, true)
			}
			if diff := cmp.Diff(want, in.absent()); diff != "" {
				t.Errorf("%s, stream %v (-want +got):\n%s", name, in.window != nil, diff)
			}
		}
	}
	// A read has only so many spans, and what has no number is always among them.
	in := &inbox{}
	for seq := range 20 {
		in.takePart(2*seq, []byte("x"), false)
	}
	if got := in.absent(); len(got) != maxGaps+1 || got[maxGaps] != (store.Span{From: 39}) {
		t.Errorf("many holes: %v", got)
	}
}

// An answer that is none must not reach the visitor, nor keep him waiting.
func TestAnswersThatAreNone(t *testing.T) {
	small := []byte("x")
	for name, answer := range map[string]func(r *wire.HTTPRequest, session string) []any{
		"shorter than announced": func(r *wire.HTTPRequest, s string) []any {
			return []any{
				&wire.HTTPResponse{RequestID: r.RequestID, StatusCode: 200, More: true, BodySize: 3, Body: small, Session: s},
				&wire.Chunk{RequestID: r.RequestID, Seq: 1, Last: true, Body: small, Session: s},
			}
		},
		"not gzip": func(r *wire.HTTPRequest, s string) []any {
			return []any{&wire.HTTPResponse{RequestID: r.RequestID, StatusCode: 200, Encoding: wire.EncodingGzip, BodySize: 1, Body: small, Session: s}}
		},
		"a bomb": func(r *wire.HTTPRequest, s string) []any {
			body, _ := new(wire.Packer).Pack(http.Header{"Content-Type": {"text/plain"}}, make([]byte, 5<<20))
			return []any{&wire.HTTPResponse{RequestID: r.RequestID, StatusCode: 200, Encoding: wire.EncodingGzip, BodySize: 1000, Body: body, Session: s}}
		},
		"two ends": func(r *wire.HTTPRequest, s string) []any {
			return []any{
				&wire.Chunk{RequestID: r.RequestID, Seq: 5, Last: true, Body: small, Session: s},
				&wire.Chunk{RequestID: r.RequestID, Seq: 3, Last: true, Body: small, Session: s},
			}
		},
		"a part after the end": func(r *wire.HTTPRequest, s string) []any {
			return []any{
				&wire.Chunk{RequestID: r.RequestID, Seq: 2, Last: true, Body: small, Session: s},
				&wire.Chunk{RequestID: r.RequestID, Seq: 3, Body: small, Session: s},
			}
		},
		"put where nobody offered": func(r *wire.HTTPRequest, s string) []any {
			return []any{&wire.HTTPResponse{RequestID: r.RequestID, StatusCode: 200, Uploaded: true, BodySize: 10, Session: s}}
		},
	} {
		for _, way := range []string{"", waiterConn} {
			bubbleNamed(t, name+" "+way, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				w.named = way
				a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
					for _, m := range answer(r, a.session) {
						a.emit(m)
					}
					return nil
				}
				start := time.Now()
				got := w.serve(get("/shop/"))
				if got.Status != 502 || strings.TrimSpace(string(got.Body)) != msgNoAnswer {
					t.Errorf("%d %.100q", got.Status, got.Body)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

func TestBodiesByTheObjectStore(t *testing.T) {
	body := noise(300_000, 3)
	for _, c := range []struct {
		name    string
		caps    []wire.Capability
		prepare func(*fakeBodies)
		puts    int
		posts   int
	}{
		{"declared", everything, nil, 1, 1},
		{"not declared", without(everything, wire.CapBlob), nil, 0, 4},
		{"the store fails", everything, func(b *fakeBodies) { b.err = errors.New("slow down") }, 1, 4},
	} {
		store := newFakeBodies()
		t.Run("request "+c.name, func(t *testing.T) {
			bubble(t, func(cfg *Config) { cfg.Bodies = store }, func(t *testing.T, w *world) {
				a := w.agent(c.caps...)
				if c.prepare != nil {
					c.prepare(store)
				}
				var size int64
				a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
					got := r.Body
					if size = r.BodySize; r.BodyURL != "" {
						key := strings.TrimSuffix(strings.TrimPrefix(r.BodyURL, "https://bucket.example.test/requests/"), "?X-Amz-Signature=1")
						got = store.requests[key]
					}
					if !bytes.Equal(got, body) {
						t.Errorf("the agent got %d bytes", len(got))
					}
					return &wire.HTTPResponse{StatusCode: 201}
				}
				if status, text := w.echo(body, ""); status != 201 {
					t.Fatalf("status %d: %s", status, text)
				}
				if size != int64(len(body)) {
					t.Errorf("body_size %d", size)
				}
				if store.puts != c.puts || w.counted("posts") != c.posts {
					t.Errorf("%d puts, %d posts", store.puts, w.counted("posts"))
				}
			})
		})
	}
	for _, c := range []struct {
		name   string
		put    []byte
		size   int64
		status int
	}{
		{"as said", body, int64(len(body)), 200},
		{"shorter than said", body[1:], int64(len(body)), 502},
		{"missing", nil, int64(len(body)), 502},
		{"larger than offered", body, wire.MaxParts + 1, 502},
	} {
		store := newFakeBodies()
		t.Run("answer "+c.name, func(t *testing.T) {
			bubble(t, func(cfg *Config) { cfg.Bodies = store }, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				w.named = waiterConn
				a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
					if c.put != nil {
						store.answers[r.Upload.Fields["key"]] = c.put
					}
					return &wire.HTTPResponse{RequestID: r.RequestID, StatusCode: 200, Uploaded: true, BodySize: c.size}
				}
				a.caps = without(a.caps, wire.CapChunks) // the body is not in the message
				got := w.serve(get("/shop/"))
				if got.Status != c.status || c.status == 200 && !bytes.Equal(got.Body, body) {
					t.Errorf("status %d, %d bytes", got.Status, len(got.Body))
				}
				if store.lastOffer != wire.MaxParts {
					t.Errorf("%d bytes offered", store.lastOffer)
				}
			})
		})
	}
}

// To an original agent goes exactly the original message.
func TestOriginalMessage(t *testing.T) {
	bubble(t, func(c *Config) { c.Bodies = newFakeBodies() }, func(t *testing.T, w *world) {
		w.agent()
		var raw []byte
		receive := w.agents[agentConn]
		w.agents[agentConn] = func(text []byte) { raw = text; receive(text) }
		w.echo([]byte(strings.Repeat("compressible ", 1000)), "text/plain")
		for _, field := range []string{"more", "encoding", "body_size", "body_url", "upload", "timeout_ms", "stream", "credit"} {
			if bytes.Contains(raw, []byte(`"`+field+`"`)) {
				t.Errorf("%s in %.300s", field, raw)
			}
		}
		w.tasks.Wait()
		if got := strings.Join(w.posted, " "); got != "HTTPRequest" {
			t.Errorf("an original agent was sent %s", got)
		}
	})
}
