// Package meter counts what the local AWS does and says what it would cost there,
// and which permissions it took. The parts of the stand-in that are ours tell it what
// they did; in front of DynamoDB, S3, SQS, Lambda and the Parameter Store it stands
// itself, as a proxy that knows each caller by its access key.
package meter

import (
	"cmp"
	"net/http"
	"slices"
	"sync"

	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/wsapi"
)

// Call is a use of a permission. ARNs are as AWS would form them.
type Call struct{ Role, Action, Resource string }

// Meter counts. It is safe for concurrent use.
type Meter struct {
	mu    sync.Mutex
	used  Usage
	calls map[Call]int64
}

// maxCalls bounds the kinds of calls that are told apart: connections and objects
// have resources of their own.
const maxCalls = 100_000

// New is a meter at zero.
func New() *Meter { return &Meter{calls: map[Call]int64{}} }

// Usage is what has been counted so far.
func (m *Meter) Usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Calls are the permissions used so far, each once, in order.
func (m *Meter) Calls() []Call {
	m.mu.Lock()
	calls := make([]Call, 0, len(m.calls))
	for c := range m.calls {
		calls = append(calls, c)
	}
	m.mu.Unlock()
	slices.SortFunc(calls, func(a, b Call) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource))
	})
	return calls
}

func (m *Meter) add(f func(*Usage)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.used)
}

func (m *Meter) call(role, action, resource string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Call{role, action, resource}
	if _, known := m.calls[c]; known || len(m.calls) < maxCalls {
		m.calls[c]++
	}
}

// Observe counts what a WebSocket API tells. A handshake counts as a message, to be on
// the safe side, and a call to @connections as the message that it carries.
// https://aws.amazon.com/api-gateway/pricing/#WebSocket_APIs
func (m *Meter) Observe(u wsapi.Usage) {
	m.add(func(used *Usage) {
		switch u.Kind {
		case wsapi.MessageIn, wsapi.MessageOut:
			used.Messages += int64(u.Units)
		case wsapi.Managed:
			used.Managed++
		case wsapi.Connected:
			used.Connects++
		case wsapi.Disconnected:
			used.ConnectionMinutes += int64(u.Minutes())
		}
	})
	if role, ok := runtime.FunctionOf(u.Principal); ok && u.Action != "" {
		m.call(role, u.Action, u.Resource)
	}
}

// Invoked counts an invocation.
func (m *Meter) Invoked(r runtime.Report) {
	if r.Outcome == runtime.Throttled {
		return
	}
	m.add(func(used *Usage) {
		used.Invocations++
		used.Billed += r.Billed()
		used.GBSeconds += r.Billed().Seconds() * float64(r.MemoryMB) / 1024
	})
}

// Logged counts a line of a function's log, and a line feed.
func (m *Meter) Logged(l runtime.Line) {
	m.add(func(used *Usage) { used.LogBytes += int64(len(l.Text)) + 1 })
}

// Visited counts a request of an HTTP API by the bytes of its body and its answer, in units of 512 KB of the
// larger one.
func (m *Meter) Visited(in, out int64) {
	const unit = 512 << 10
	m.add(func(used *Usage) {
		used.HTTPRequests += max(1, (max(in, out)+unit-1)/unit)
	})
}

// HTTPAPI tells of every request to an HTTP API (Visited).
func (m *Meter) HTTPAPI(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &counter{ResponseWriter: w}
		api.ServeHTTP(out, r)
		m.Visited(max(0, r.ContentLength), out.n)
	})
}

// counter counts the bytes of an answer's body.
type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
