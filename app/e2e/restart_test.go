package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// counter is a local service that counts how often it is asked for each path,
// and answers with the path, in pieces and at length, so that a short answer
// shows.
type counter struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	c.seen[r.URL.Path]++
	c.mu.Unlock()
	if err != nil || string(body) != r.URL.Path {
		return // the visitor or the tunnel has gone
	}
	for range 20 {
		if _, err := io.WriteString(w, r.URL.Path+"\n"); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

// counted is what the answer to a path has to be.
func counted(path string) string { return strings.Repeat(path+"\n", 20) }

// load is a number of visitors that ask without pause, for a new path each time.
type load struct {
	stop    chan struct{}
	wg      sync.WaitGroup
	next    atomic.Int64
	good    atomic.Int64
	bad     atomic.Int64
	failure chan error // what must not happen
}

func startLoad(t testing.TB, visitors int, base string) *load {
	t.Helper()
	l := &load{stop: make(chan struct{}), failure: make(chan error, 1000)}
	for range visitors {
		client := newClient(t)
		l.wg.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				path := fmt.Sprintf("/n/%d", l.next.Add(1))
				if err := l.ask(client, base, path); err != nil {
					select {
					case l.failure <- err:
					default:
					}
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// ask makes one request. Failing loudly is allowed, a wrong or short success is an error.
func (l *load) ask(client *http.Client, base, path string) error {
	// POST, on a body that cannot be rewound: the client repeats nothing.
	req, err := http.NewRequest(http.MethodPost, base+path, io.NopCloser(strings.NewReader(path)))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		l.bad.Add(1)
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		l.bad.Add(1)
		return nil
	case resp.StatusCode == http.StatusOK && string(body) == counted(path):
		l.good.Add(1)
		return nil
	case resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusServiceUnavailable:
		l.bad.Add(1)
		return nil
	}
	return fmt.Errorf("%s: status %d with %d of %d bytes: %.100q", path, resp.StatusCode, len(body), len(counted(path)), body)
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}

// awaitGood waits until this many more requests have succeeded.
func (l *load) awaitGood(t testing.TB, n int64) {
	t.Helper()
	from := l.good.Load()
	eventually(t, func() error {
		if got := l.good.Load() - from; got < n {
			return fmt.Errorf("%d requests succeeded, want %d", got, n)
		}
		return nil
	})
}

func TestRelayKilledUnderLoad(t *testing.T) {
	t.Parallel()
	service := &counter{seen: map[string]int{}}
	holding, release := make(chan struct{}, 2), make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/n/", service)
	mux.HandleFunc("/hold/head", func(w http.ResponseWriter, r *http.Request) {
		holding <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/hold/body", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the beginning")
		w.(http.Flusher).Flush()
		holding <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	r, a := tunnel(t, mux)
	load := startLoad(t, 4, a.path(""))
	load.awaitGood(t, 50)

	for round := range 2 {
		// Two requests that are surely in flight: before the head, and within the body.
		var held sync.WaitGroup
		for _, path := range []string{"/hold/head", "/hold/body"} {
			held.Go(func() {
				got, err := get(t, a.path(path))
				if err == nil && got.status < 500 {
					t.Errorf("round %d, %s: status %d and the body %q from a relay that was killed", round, path, got.status, got.body)
				}
			})
			<-holding
		}
		r.kill(t)
		a.awaitEvent(t, "reconnecting")
		held.Wait()
		r.start(t)
		online := a.awaitEvent(t, "online")
		for _, key := range []string{"tunnel_id", "public_url", "path_based_url", "subdomain_url"} {
			if online.str(key) != a.online.str(key) {
				t.Errorf("round %d: %s is %q, was %q", round, key, online.str(key), a.online.str(key))
			}
		}
		load.awaitGood(t, 50)
	}
	load.end()
	close(load.failure)
	for err := range load.failure {
		t.Error(err)
	}
	if load.bad.Load() == 0 {
		t.Error("no request failed: the relay was not under load")
	}
	service.mu.Lock()
	defer service.mu.Unlock()
	for path, n := range service.seen {
		if n != 1 {
			t.Errorf("%s reached the local service %d times", path, n)
		}
	}
	t.Logf("%d requests succeeded, %d failed", load.good.Load(), load.bad.Load())
}

// TestRelayDrains stops the relay as an init system does.
func TestRelayDrains(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	r, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first half, ")
		w.(http.Flusher).Flush()
		close(started)
		<-release
		io.WriteString(w, "second half")
	}))
	got, failed := make(chan answer, 1), make(chan error, 1)
	go func() {
		a, err := get(t, a.path("/"))
		got <- a
		failed <- err
	}()
	<-started
	r.signal(t, syscall.SIGTERM)
	// Draining shows by nobody being let in any more.
	eventually(t, func() error {
		if _, err := get(t, r.url()+"/_culvert/healthz"); err == nil {
			return errors.New("the relay still accepts connections")
		}
		return nil
	})
	close(release)
	answer, err := <-got, <-failed
	if err != nil || answer.status != http.StatusOK || answer.body != "first half, second half" {
		t.Errorf("the request in flight got %d, %q, %v", answer.status, answer.body, err)
	}
	if code := r.exit(t); code != 0 {
		t.Errorf("exit code %d after draining", code)
	}
	a.awaitEvent(t, "reconnecting")
	r.start(t)
	if again := a.awaitEvent(t, "online"); again.str("public_url") != a.online.str("public_url") {
		t.Errorf("the URL changed from %v to %v", a.online, again)
	}
}

// TestRelayCutsTheEndless stops the relay while a visitor's answer never ends.
func TestRelayCutsTheEndless(t *testing.T) {
	t.Parallel()
	r, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "for ever")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	resp, err := newClient(t).Get(a.path("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.stop(t)
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("an answer that was cut looks whole: %q", body)
	}
}

// TestAgentStops ends the agent while a request is in flight: its user is not kept waiting.
func TestAgentStops(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	}))
	failed := make(chan string, 1)
	go func() {
		got, err := get(t, a.path("/"))
		if err == nil && got.status < 500 {
			failed <- fmt.Sprint("status ", got.status)
		}
		close(failed)
	}()
	<-started
	a.signal(t, syscall.SIGINT)
	if code := a.exit(t); code != 0 {
		t.Errorf("exit code %d after SIGINT", code)
	}
	if what, bad := <-failed; bad {
		t.Errorf("the request in flight: %s", what)
	}
	if len(a.seen("offline")) == 0 {
		t.Error("offline was not said")
	}
}
