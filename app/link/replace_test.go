package link_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/link"
	"culvert/app/session"
	"culvert/backend/wire"
)

// A session replaces its connections before API Gateway cuts them, whether the
// backend says when or not; under load nothing is lost: not whole requests, some in
// parts, nor streams that are longer than the overlap of two connections.
func TestReplacementUnderLoad(t *testing.T) {
	t.Parallel()
	for name, maxAge := range map[string]time.Duration{"announced": 2 * time.Hour, "not announced": 0, "shorter": 40 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { replaceUnderLoad(t, maxAge) })
		})
	}
}

func replaceUnderLoad(t *testing.T, maxAge time.Duration) {
	g := link.NewGateway(t, 1, maxAge)
	serve := func(x wire.Exchange) {
		body := make([]byte, x.Request().ContentLength)
		for n := 0; n < len(body); {
			k, err := x.Read(body[n:])
			if err != nil {
				t.Errorf("the body ends after %d of %d bytes: %v", n, len(body), err)
				return
			}
			n += k
		}
		if !strings.HasPrefix(x.Request().Target, "/stream") {
			time.Sleep(time.Duration(len(body)%20) * time.Second)
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: int64(len(body))}, len(body) == 0)
			if len(body) > 0 {
				_, _ = x.WriteLast(body)
			}
			return
		}
		// Ten minutes of events: longer than two connections live side by side.
		_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		for i := range 120 {
			if _, err := fmt.Fprintf(x, "event %d\n", i); err != nil {
				t.Errorf("event %d: %v", i, err)
				return
			}
			time.Sleep(5 * time.Second)
		}
		_ = x.CloseWrite(nil)
	}
	var events strings.Builder
	for i := range 120 {
		fmt.Fprintf(&events, "event %d\n", i)
	}

	var statuses []string
	s := session.New(session.Config{
		Dial:     session.DialWith(g.Config(&link.Config{Handler: serve})),
		OnStatus: func(st session.Status) { statuses = append(statuses, st.State.String()) },
	})
	ctx, stop := context.WithCancel(t.Context())
	var running, load sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	synctest.Wait()

	const duration = 4 * time.Hour
	for worker := range uint64(3) {
		load.Go(func() {
			rng := rand.New(rand.NewPCG(worker, 2))
			for start := time.Now(); time.Since(start) < duration; time.Sleep(time.Duration(rng.Int64N(int64(40 * time.Second)))) {
				size := rng.IntN(2000)
				if rng.IntN(20) == 0 {
					size += 150 << 10 // in parts
				}
				body := bytes.Repeat([]byte{byte(size)}, size)
				if got, err := g.Visit("POST", "/", body); err != nil || !bytes.Equal(got, body) {
					t.Errorf("after %v: %d of %d bytes came back: %v", time.Since(start), len(got), size, err)
				}
			}
		})
	}
	load.Go(func() {
		for start := time.Now(); time.Since(start) < duration; time.Sleep(time.Minute) {
			limit, cancel := context.WithTimeout(ctx, 15*time.Minute)
			got, err := g.Stream(limit, "/stream")
			cancel()
			if err != nil || string(got) != events.String() {
				t.Errorf("after %v: a stream ended after %d of %d bytes: %v", time.Since(start), len(got), events.Len(), err)
			}
		}
	})
	load.Wait()
	stop()
	running.Wait()
	if n := g.Connections(); n < 3 {
		t.Errorf("%d connections in %v", n, duration)
	}
	for i, state := range statuses {
		if want := map[bool]string{true: "Connecting", false: "Online"}[i == 0]; state != want && i != len(statuses)-1 {
			t.Errorf("states %v", statuses)
			break
		}
	}
}
