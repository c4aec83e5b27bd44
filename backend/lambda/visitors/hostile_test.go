package visitors

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

// hostile is everything that can go wrong between an environment and its agent, by
// chance, and an agent that means harm.
type hostile struct {
	w    *world
	rng  *rand.Rand
	lost float64 // of messages from the agent, and of posts to it
	lie  bool    // the agent sends what is no answer to this request
}

func newHostile(w *world, a *fakeAgent, seed uint64) *hostile {
	h := &hostile{w: w, rng: rand.New(rand.NewPCG(seed, 1))}
	h.lost = []float64{0, 0.1, 0.3}[h.rng.IntN(3)]
	h.lie = h.rng.IntN(2) == 0
	w.call = time.Duration(h.rng.IntN(20)) * ms
	w.reach = time.Duration(h.rng.IntN(100)) * ms
	if h.rng.IntN(3) > 0 {
		w.named = waiterConn
	}
	a.send = func(text []byte) { h.fromAgent(a, text) }
	receive := w.agents[agentConn]
	safe := func(text []byte) bool { // nobody asks for it
		return len(a.caps) == 0 && strings.Contains(string(text), `"http_request"`)
	}
	deliver := func(text []byte) {
		times := h.copies(safe(text))
		for range times {
			d := h.delay()
			w.tasks.Go(func() {
				time.Sleep(d)
				receive(text)
			})
		}
	}
	w.agents[agentConn] = deliver
	loss := h.lost
	w.lose = func([]byte) bool { return h.rng.Float64() < loss } // under w.mu
	w.postErr = func(string, []byte) error {
		if h.rng.Float64() < loss/4 {
			return post.ErrBusy
		}
		return nil
	}
	if h.rng.IntN(4) == 0 {
		d := time.Duration(h.rng.IntN(2000)) * ms
		w.tasks.Go(func() {
			time.Sleep(d)
			w.cut()
		})
	}
	return h
}

// chance is under w.mu, like all uses of the generator while the test runs.
func (h *hostile) chance(p float64) bool {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return h.rng.Float64() < p
}

func (h *hostile) delay() time.Duration {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if h.rng.IntN(10) == 0 {
		return time.Duration(h.rng.IntN(3000)) * ms
	}
	return time.Duration(h.rng.IntN(150)) * ms
}

// copies is how often a message arrives.
func (h *hostile) copies(safe bool) int {
	switch {
	case !safe && h.chance(h.lost):
		return 0
	case h.chance(0.1):
		return 2
	}
	return 1
}

// fromAgent passes a message of the agent on, or not, and lies.
func (h *hostile) fromAgent(a *fakeAgent, text []byte) {
	pass := func(text []byte) {
		d := h.delay()
		h.w.tasks.Go(func() {
			time.Sleep(d)
			h.w.fromAgent(agentConn, text)
		})
	}
	for range h.copies(false) {
		pass(text)
	}
	if !h.lie || !h.chance(0.3) {
		return
	}
	var m struct {
		ID string `json:"request_id"`
	}
	if i := bytes.Index(text, []byte(`"request_id":"`)); i >= 0 {
		m.ID = string(text[i+len(`"request_id":"`):])
		m.ID, _, _ = strings.Cut(m.ID, `"`)
	}
	wrong := []byte(m.ID)
	wrong[len(wrong)/2] ^= 1
	for _, id := range []string{string(wrong), "r1", m.ID + "A"} {
		for _, lie := range []any{
			&wire.HTTPResponse{RequestID: id, StatusCode: 299, Body: []byte("a lie"), Session: a.session},
			&wire.Chunk{RequestID: id, Seq: 1, Last: true, Body: []byte("a lie"), Session: a.session},
			&wire.ErrorMessage{RequestID: id, Code: wire.CodeInvalidRequest, Message: "a lie", Session: a.session},
		} {
			text, err := wire.Encode(lie)
			if err != nil {
				h.w.t.Error(err)
			}
			pass(text)
			// Past the function that checks, too: as a frame of the environment's
			// connection, as if somebody could post to it.
			h.w.mu.Lock()
			if t := h.w.turn; t != nil {
				t.queue = append(t.queue, text)
				select {
				case t.arrived <- struct{}{}:
				default:
				}
			}
			h.w.mu.Unlock()
		}
	}
}

// echoService answers with what it was asked, so that an answer shows whose it is.
func echoService(h *hostile) func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
	return func(ctx context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
		_ = timer.Wait(ctx, 3*h.delay())
		return &wire.HTTPResponse{
			StatusCode: 200, Header: http.Header{"X-Uri": {r.URI}, "Content-Type": r.Header["Content-Type"]}, Body: r.Body,
		}
	}
}

// Whatever happens on the way: no visitor ever gets another answer than his own, none
// gets half of it for the whole, and none waits too long.
func TestHostileWorld(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 20
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				caps := everything
				if seed%4 == 3 {
					caps = nil
				}
				a := w.agent(caps...)
				h := newHostile(w, a, seed)
				a.serve = echoService(h)
				for i := range 3 {
					size := []int{0, 500, 5_000, 60_000, 90_000, 120_000, 300_000}[int(seed+uint64(i))%7]
					if caps == nil {
						size = min(size, 90_000)
					}
					kind := []string{"text/plain", "application/octet-stream"}[int(seed)%2]
					target := fmt.Sprintf("/shop/%d?seed=%d", i, seed)
					body := noise(size, byte(seed)+byte(i))
					start := time.Now()
					got := w.serve(postRequest(target, body, kind))
					if took := time.Since(start); took > 29*time.Second {
						t.Errorf("took %v", took)
					}
					switch got.Status {
					case 200:
						if !bytes.Equal(got.Body, body) || "/shop"+got.Header.Get("X-Uri") != target {
							t.Errorf("a wrong answer: %d bytes to %s, want %d to %s", len(got.Body), got.Header.Get("X-Uri"), len(body), target)
						}
					case 502, 503, 504:
						if h.lost == 0 {
							t.Errorf("%d though nothing was lost: %s", got.Status, got.Body)
						}
					default:
						t.Errorf("%d %.100q", got.Status, got.Body)
					}
				}
				a.mu.Lock()
				for _, p := range a.requests {
					p.cancel()
				}
				a.mu.Unlock()
			})
		})
	}
}

// The same for streams: what is read is a beginning of the truth, and with EOF all of it.
func TestHostileStreams(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 20
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				parts := 1 + int(seed)%60
				a := w.streamer(parts, time.Duration(seed%5)*20*ms, func(i int) []byte { return noise(1+i*37, byte(i)) })
				h := newHostile(w, a, seed)
				var want []byte
				for i := 1; i <= parts; i++ {
					want = append(want, noise(1+i*37, byte(i))...)
				}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				r := get("/shop/events")
				r.Kind = event.FunctionURL
				s := w.v.Stream(ctx, r)
				if s.Status != 200 {
					if h.lost == 0 || s.Status < 500 {
						t.Errorf("status %d", s.Status)
					}
				} else {
					got, err := io.ReadAll(s.Body)
					if !bytes.HasPrefix(want, got) || err == nil && len(got) != len(want) {
						t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
					}
					if err != nil && h.lost == 0 {
						t.Errorf("cut though nothing was lost: %v", err)
					}
				}
				if s.Body != nil {
					s.Body.Close()
				}
				if took := time.Since(start); took > 5*time.Minute {
					t.Errorf("took %v", took)
				}
				a.mu.Lock()
				for _, p := range a.requests {
					p.cancel()
				}
				a.mu.Unlock()
			})
		})
	}
}

// Whatever text comes, nothing is an answer that does not bear the request's ID.
func FuzzInbox(f *testing.F) {
	for _, m := range []any{
		&wire.HTTPResponse{RequestID: "r", StatusCode: 200},
		&wire.HTTPResponse{RequestID: "x", StatusCode: 200},
		&wire.HTTPResponse{RequestID: "r", StatusCode: 200, More: true, BodySize: 5, Body: []byte("ab")},
		&wire.Chunk{RequestID: "r", Seq: 1, Last: true, Body: []byte("cde")},
		&wire.ErrorMessage{RequestID: "r", Code: wire.CodeTimeout},
	} {
		text, err := wire.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, text, true)
		f.Add(text, []byte(`{"type":"http_response","request_id":"r"}`), false)
	}
	f.Fuzz(func(t *testing.T, one, two []byte, stream bool) {
		in := &inbox{id: "r", declared: true}
		if stream {
			in.window = newWindow()
		}
		for _, text := range [][]byte{one, two, one} {
			before := in.over()
			fresh := in.take(text)
			if before && fresh && len(in.wanted) == 0 && in.window == nil {
				t.Error("something new after the end")
			}
			if fresh && !bytes.Contains(text, []byte(`r`)) {
				t.Errorf("taken without its ID: %q", text)
			}
			in.missing()
			in.absent()
		}
		if in.answered() && in.head == nil {
			t.Error("answered without a head")
		}
	})
}
