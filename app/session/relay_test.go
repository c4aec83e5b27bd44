package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/app/link"
	"culvert/app/session"
	"culvert/backend/relay"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// These tests join a session, its links and a real relay on real sockets.

// relayHost is a relay that can be killed and come back at the same address.
type relayHost struct {
	t     *testing.T
	state string
	url   *url.URL
	srv   *relay.Server
	ended chan struct{}
}

func newRelayHost(t *testing.T) *relayHost {
	t.Helper()
	h := &relayHost{t: t, state: t.TempDir()}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = &url.URL{Scheme: "http", Host: ln.Addr().String()}
	h.serve(ln)
	t.Cleanup(h.stop)
	return h
}

func (h *relayHost) serve(ln net.Listener) {
	h.t.Helper()
	srv, err := relay.New(relay.Config{PublicURL: h.url, StateDir: h.state})
	if err != nil {
		h.t.Fatal(err)
	}
	h.srv, h.ended = srv, make(chan struct{})
	ended := h.ended
	go func() {
		defer close(ended)
		_ = srv.Serve(ln)
	}()
}

func (h *relayHost) stop() {
	if h.srv == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // as short as can be
	_ = h.srv.Shutdown(ctx)
	<-h.ended
	h.srv = nil
}

// restart brings the relay back where it was.
func (h *relayHost) restart() {
	h.t.Helper()
	h.stop()
	for range 100 { // the port may still be in use for a moment
		ln, err := net.Listen("tcp", h.url.Host)
		if err == nil {
			h.serve(ln)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.t.Fatalf("cannot listen on %s again", h.url.Host)
}

// agent is a session with the statuses that it announced.
type agent struct {
	t        *testing.T
	s        *session.Session
	statuses chan session.Status
	done     chan error
}

func startAgent(t *testing.T, h *relayHost, owner tunnel.OwnerKey, name string, dial func(session.Link) session.Link) *agent {
	t.Helper()
	lc := &link.Config{Backend: h.url, Owner: owner, Handler: answer}
	a := &agent{t: t, statuses: make(chan session.Status, 256), done: make(chan error, 1)}
	connect := session.DialWith(lc)
	a.s = session.New(session.Config{
		Dial: func(ctx context.Context, hello link.Hello) (session.Link, error) {
			l, err := connect(ctx, hello)
			if err == nil && dial != nil {
				l = dial(l)
			}
			return l, err
		},
		TunnelID: name, OnStatus: func(st session.Status) { a.statuses <- st },
		BackoffMin: 50 * time.Millisecond, BackoffMax: 200 * time.Millisecond, StableAfter: time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.done <- a.s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return a
}

// answer serves visitors: a line with the path, /slow in many pieces.
func answer(x wire.Exchange) {
	target := x.Request().Target
	_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{}}, false)
	if strings.HasPrefix(target, "/slow") {
		for range 40 {
			if _, err := x.Write([]byte(strings.Repeat("x", 1000))); err != nil {
				return
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-x.Context().Done():
				return
			}
		}
	}
	_, _ = x.WriteLast([]byte("served " + target))
}

// await waits for a state.
func (a *agent) await(want session.State) session.Status {
	a.t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case st := <-a.statuses:
			if st.State == want {
				return st
			}
		case <-limit:
			a.t.Fatalf("not %v in time: %+v", want, a.s.Status())
		}
	}
}

func get(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "served /") {
		return fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	}
	return nil
}

func newOwner(t *testing.T) tunnel.OwnerKey {
	t.Helper()
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return owner
}

func TestSameURLAfterRelayRestart(t *testing.T) {
	t.Parallel()
	h := newRelayHost(t)
	a := startAgent(t, h, newOwner(t), "", nil)
	first := a.await(session.Online).Established
	if err := get(first.PublicURL + "/a"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		h.restart()
		if st := a.await(session.Reconnecting); st.Cause == nil {
			t.Error("reconnecting without a cause")
		}
		if again := a.await(session.Online).Established; again.PublicURL != first.PublicURL {
			t.Errorf("public URL %s, want %s again", again.PublicURL, first.PublicURL)
		}
		if err := get(first.PublicURL + "/b"); err != nil {
			t.Error(err)
		}
	}
}

// agedLink is a link whose backend has announced a short life, which the relay
// does not enforce: only the agent's side of the replacement is to be seen.
type agedLink struct{ session.Link }

func (l agedLink) Established() wire.Established {
	est := l.Link.Established()
	est.MaxAgeMS = 600
	return est
}

func TestReplacementLosesNoRequest(t *testing.T) {
	t.Parallel()
	h := newRelayHost(t)
	a := startAgent(t, h, newOwner(t), "shop", func(l session.Link) session.Link { return agedLink{l} })
	url := a.await(session.Online).Established.PublicURL

	var (
		wg     sync.WaitGroup
		served atomic.Int64
		stop   = make(chan struct{})
	)
	for i := range 4 {
		path := "/quick"
		if i == 0 {
			path = "/slow" // takes longer than a link lives
		}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := get(url + path); err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for want := int64(2); want <= 5; want++ {
		st := a.await(session.Online)
		if st.Established.Epoch != want || st.Established.PublicURL != url {
			t.Errorf("established = %+v, want epoch %d", st.Established, want)
		}
	}
	close(stop)
	wg.Wait()
	if served.Load() == 0 {
		t.Error("nothing was served")
	}
	for len(a.statuses) > 0 {
		if st := <-a.statuses; st.State != session.Online {
			t.Errorf("was %v (%v) meanwhile", st.State, st.Cause)
		}
	}
}

func TestNamesAndOwners(t *testing.T) {
	t.Parallel()
	h := newRelayHost(t)
	mine, other := newOwner(t), newOwner(t)
	a := startAgent(t, h, mine, "shop", nil)
	a.await(session.Online)
	for _, owner := range []tunnel.OwnerKey{mine, other} {
		b := startAgent(t, h, owner, "shop", nil)
		st := b.await(session.Refused)
		var refusal *wire.Error
		if !errors.As(st.Cause, &refusal) || refusal.Code != wire.CodeNameTaken {
			t.Errorf("cause %v, want name_taken", st.Cause)
		}
		if err := <-b.done; !errors.As(err, &refusal) {
			t.Errorf("Run = %v", err)
		}
	}
	if st := a.s.Status(); st.State != session.Online {
		t.Errorf("the holder is %v", st.State)
	}
}
