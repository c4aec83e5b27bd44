package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"culvert/app/session"
	"culvert/app/target"
	"culvert/backend/relay"
	"culvert/backend/wire"
)

func lights(t *testing.T, l *log, tun *Tunnel, what string, fits func(Lights) bool) Lights {
	t.Helper()
	return wait(t, l, what, func(e Probed) bool { return e.Tunnel == tun && fits(e.Lights) }).Lights
}

// TestLights goes the whole way round, and leaves no trace in the log or at the service.
func TestLights(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer s.Close()
	to, err := target.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	e, l := start(t, Config{Dir: folder(t), Lights: true})
	tun := open(t, e, Spec{Target: to})
	up := lights(t, l, tun, "both up", func(x Lights) bool { return x.Service.State == Up && x.URL.State == Up })
	if up.URL.RTT <= 0 || up.URL.At.IsZero() || up.Service.At.IsZero() || up != tun.Lights() && tun.Lights().URL.State != Up {
		t.Errorf("lights %+v", up)
	}
	s.Close()
	tun.Probe()
	down := lights(t, l, tun, "service down", func(x Lights) bool { return x.Service.State == Down && x.URL.State == Up })
	if !strings.Contains(down.Service.Cause, "nothing is listening on") {
		t.Errorf("cause %q", down.Service.Cause)
	}
	tun.Stop()
	lights(t, l, tun, "nothing known", func(x Lights) bool { return x == Lights{} })
	if seen.Load() != 0 || tun.Counters() != (Counters{}) {
		t.Errorf("%d requests at the service, counters %+v", seen.Load(), tun.Counters())
	}
	tun.Probe() // also while it is stopped
	lights(t, l, tun, "an answer", func(x Lights) bool { return x.Service.State == Down && x.URL.State == Waits })
}

// TestFailedVisitTurnsTheLight before anybody looks.
func TestFailedVisitTurnsTheLight(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "site")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	e, l := start(t, Config{Dir: folder(t), Lights: true})
	tun := open(t, e, Spec{Target: target.Target{Scheme: "http", Folder: dir}})
	lights(t, l, tun, "both up", func(x Lights) bool { return x.Service.State == Up && x.URL.State == Up })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if code, _ := get(t, tun.Status().Established.PublicURL+"/"); code != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
	down := lights(t, l, tun, "service down", func(x Lights) bool { return x.Service.State == Down })
	if !strings.Contains(down.Service.Cause, "put it back") {
		t.Errorf("cause %q", down.Service.Cause)
	}
}

// TestProbeAfterNetworkChange needs no watching.
func TestProbeAfterNetworkChange(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t), Lights: true})
	tun := open(t, e, Spec{Target: service(t)})
	first := lights(t, l, tun, "URL up", func(x Lights) bool { return x.URL.State == Up })
	tun.prober.doubt() // what probeAfterChanges calls
	lights(t, l, tun, "another look", func(x Lights) bool { return x.URL.At.After(first.URL.At) })
	e.SetWatched(true)
	e.SetWatched(false)
}

// TestStrangersAreNoProbes: the local service sees what does not know the question, and
// nobody else is told the answer.
func TestStrangersAreNoProbes(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: service(t)})
	base := state(t, l, session.Online).Established.PublicURL
	ask := func(values ...string) (int, string) {
		r, err := http.NewRequest("GET", base+"/you", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header[probeHeader] = values
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode, answer.Header.Get(probeHeader)
	}
	question, done := tun.questions.ask()
	answer := tun.questions.answer(question)
	for _, values := range [][]string{{"guess"}, {""}, {answer}, {question, question}, {}, {strings.ToLower(question)}} {
		if code, shown := ask(values...); code != http.StatusOK || shown != "" {
			t.Errorf("%q: %d %q", values, code, shown)
		}
	}
	if code, shown := ask(question); code != http.StatusNoContent || shown != answer {
		t.Errorf("the question itself: %d %q", code, shown)
	}
	if code, shown := ask(question); code != http.StatusNoContent || shown != "" {
		t.Errorf("the question once more: %d %q", code, shown)
	}
	done()
	late, over := tun.questions.ask()
	over()
	if code, shown := ask(late); code != http.StatusNoContent || shown != "" {
		t.Errorf("too late: %d %q", code, shown)
	}
	if code, _ := ask(question); code != http.StatusOK {
		t.Errorf("an old question: %d", code)
	}
	if newQuestions().answers(question, answer) {
		t.Error("another tunnel would believe the answer")
	}
}

// TestAnswersCannotBeSaved by a server that has seen a visit pass, or has passed it on.
func TestAnswersCannotBeSaved(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: service(t)})
	base := state(t, l, session.Online).Established.PublicURL
	var saved string
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	spy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if saved == "" {
			again, err := http.NewRequest("GET", base+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			again.Header.Set(probeHeader, r.Header.Get(probeHeader))
			answer, err := client.Do(again)
			if err != nil {
				t.Error(err)
				return
			}
			answer.Body.Close()
			saved = answer.Header.Get(probeHeader)
		}
		w.Header().Set(probeHeader, saved)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer spy.Close()
	u, err := url.Parse(spy.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tun.visitURL(t.Context(), u); err != nil || saved == "" {
		t.Errorf("a visit that arrived: %v", err) // by whatever way: backends are on it
	}
	if _, err := tun.visitURL(t.Context(), u); err == nil {
		t.Error("an answer of before is believed")
	}
}

// TestMisled wants words for everything that is not the tunnel's own answer.
func TestMisled(t *testing.T) {
	t.Parallel()
	var answer func(w http.ResponseWriter)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w) }))
	defer s.Close()
	secure := httptest.NewTLSServer(nil)
	defer secure.Close()
	silence, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silence.Close()
	// Nothing can listen at the near end of a connection while it lasts.
	near, err := net.Dial("tcp", silence.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	nobody := "http://" + near.LocalAddr().String()
	e, _ := start(t, Config{Dir: folder(t)})
	tun, err := e.OpenStopped(Spec{Target: service(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url    string
		answer func(w http.ResponseWriter)
		says   string
		silent bool
	}{
		{s.URL, func(w http.ResponseWriter) { w.WriteHeader(204) }, "something else answers", false},
		{s.URL, func(w http.ResponseWriter) { w.Header().Set(probeHeader, "guess"); w.WriteHeader(204) }, "something else answers", false},
		{s.URL, func(w http.ResponseWriter) {
			w.Header().Set(probeHeader, tun.questions.answer("guess"))
			w.WriteHeader(200)
		}, "something else answers", false},
		{s.URL, func(w http.ResponseWriter) { w.Header().Set("Location", "https://login.example/x"); w.WriteHeader(302) }, "elsewhere to login.example (302)", false},
		{s.URL, func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(302) }, "elsewhere (302)", false},
		{s.URL, func(w http.ResponseWriter) { w.WriteHeader(401) }, "wants a login", false},
		{s.URL, func(w http.ResponseWriter) { w.WriteHeader(404) }, "does not know this tunnel", false},
		{s.URL, func(w http.ResponseWriter) { w.WriteHeader(429) }, "no more requests", false},
		{s.URL, func(w http.ResponseWriter) { w.WriteHeader(502) }, "lost the tunnel", false},
		{s.URL, func(w http.ResponseWriter) { w.WriteHeader(504) }, "did not get through", false},
		{secure.URL, nil, "certificate", true},
		{nobody, nil, "nothing answers at", true},
		{"http://" + silence.Addr().String(), nil, "no answer from", true},
	} {
		answer = tt.answer
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if strings.Contains(tt.says, "no answer") {
			ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		}
		u, err := url.Parse(tt.url + "/")
		if err != nil {
			t.Fatal(err)
		}
		_, err = tun.visitURL(ctx, u)
		cancel()
		if err == nil || !strings.Contains(err.Error(), tt.says) || isSilent(err) != tt.silent {
			t.Errorf("%s: %v (silent %v), want %q", tt.url, err, isSilent(err), tt.says)
		}
	}
	if _, err := tun.visit(t.Context()); err == nil || !strings.Contains(err.Error(), "no public URL") {
		t.Errorf("without a URL: %v", err)
	}
}

func TestUnanswered(t *testing.T) {
	t.Parallel()
	u := &url.URL{Scheme: "https", Host: "tunnel.example.com"}
	for _, tt := range []struct {
		err  error
		says string
	}{
		{&net.DNSError{IsNotFound: true}, "check the DNS record"},
		{&net.DNSError{IsTemporary: true}, "is this computer online?"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, "tunnel.example.com cannot be reached: " + syscall.ENETUNREACH.Error()},
		{fmt.Errorf("a: %w", errors.New("b")), "cannot be reached: b"},
	} {
		if got := unanswered(u, tt.err); !strings.Contains(got, tt.says) {
			t.Errorf("%v: %q does not say %q", tt.err, got, tt.says)
		}
	}
}

// TestLocalNames go to this machine and to no proxy.
func TestLocalNames(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	backend := startRelay(t, relay.Config{})
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: service(t), Backend: backend})
	state(t, l, session.Online)
	u, err := url.Parse(tun.Status().Established.PublicURL + "/")
	if err != nil {
		t.Fatal(err)
	}
	if rtt, err := tun.visitURL(t.Context(), u); err != nil || rtt <= 0 {
		t.Errorf("loopback: %v, %v", rtt, err)
	}
	u.Host, u.Path = tun.Status().Established.TunnelID+".localhost:"+u.Port(), "/"
	if _, err := tun.visitURL(t.Context(), u); err != nil {
		t.Errorf("%s: %v", u.Host, err)
	}
	u.Host = "tunnel.example:80"
	if _, err := tun.visitURL(t.Context(), u); err == nil || !strings.Contains(err.Error(), "the proxy that HTTPS_PROXY names") {
		t.Errorf("by a proxy that is not there: %v", err)
	}
}

var _ wire.Exchange = (*replay)(nil)
