package e2e

import (
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// TestHalfOpen cuts the line between agent and relay so that neither is told.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t)
	line := startLine(t, r.addr())
	a := startAgent(t, agentSpec{target: service.URL, backend: "http://" + line.addr()})
	base := r.url() + "/" + a.id()
	mustGet(t, http.StatusOK, base+"/get")
	waiting := make(chan answer, 1)
	since := time.Now()
	line.silence()
	go func() {
		got, _ := get(t, base+"/get")
		waiting <- got
	}()
	a.awaitEvent(t, "reconnecting")
	if took := time.Since(since); took > 31*time.Second {
		t.Errorf("the agent noticed after %v, want within 30 s", took)
	}
	select {
	case got := <-waiting:
		if got.status != http.StatusBadGateway {
			t.Errorf("the request in flight got %d", got.status)
		}
	case <-time.After(time.Until(since.Add(31 * time.Second))):
		t.Error("after 30 s the relay still waits for an agent that is gone")
	}
	mustGet(t, http.StatusBadGateway, base+"/get")
	line.speak()
	if again := a.awaitEvent(t, "online"); again.str("tunnel_id") != a.id() {
		t.Errorf("the tunnel changed from %s to %v", a.id(), again)
	}
	mustGet(t, http.StatusOK, base+"/get")
}

// line is a TCP line that can go silent: it stays open and carries nothing.
type line struct {
	ln net.Listener
	to string

	mu     sync.Mutex
	silent bool
	conns  []net.Conn
	wg     sync.WaitGroup
}

func startLine(t testing.TB, to string) *line {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{ln: ln, to: to}
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		ln.Close()
		l.mu.Lock()
		for _, conn := range l.conns {
			conn.Close()
		}
		l.mu.Unlock()
		l.wg.Wait()
	})
	return l
}

func (l *line) addr() string { return l.ln.Addr().String() }

func (l *line) accept() {
	for {
		near, err := l.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.to)
		if err != nil {
			near.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, near, far)
		l.mu.Unlock()
		// What is lost once stays lost: a connection that was silent never speaks again.
		lost := new(bool)
		l.wg.Go(func() { l.carry(near, far, lost) })
		l.wg.Go(func() { l.carry(far, near, lost) })
	}
}

func (l *line) carry(from, to net.Conn, lost *bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		*lost = *lost || l.silent
		drop := *lost
		l.mu.Unlock()
		if drop {
			if err != nil {
				return // and tell nobody
			}
			continue
		}
		if err != nil {
			to.Close()
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			from.Close()
			return
		}
	}
}

func (l *line) set(silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = silent
}

func (l *line) silence() { l.set(true) }

func (l *line) speak() { l.set(false) }
