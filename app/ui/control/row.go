package control

import (
	"mime"
	"net/http"
	"sync"

	"culvert/app/capture"
	"culvert/app/engine"
	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/model"
)

// row is what the table shows of an exchange.
func row(tunnel string, x *exchange.Exchange) *model.Request {
	return &model.Request{
		Tunnel: tunnel, Name: x.Tunnel, Exchange: x.ID, ReplayOf: x.ReplayOf, Time: x.Start, Method: x.Method, Path: x.Path,
		Status: x.Status, Duration: x.Duration, Size: x.Response.Size, Visitor: x.RemoteAddr,
		Err: x.Err, Detail: x.Detail, NoTarget: x.NoTarget,
		Stream:   streamKind(x.Status, x.Response.Header.Get("Content-Type")),
		Messages: len(x.Messages) + x.Skipped,
	}
}

// foundRow is the same of a row of the history.
func foundRow(tunnel string, s *history.Summary) *model.Request {
	return &model.Request{
		Tunnel: tunnel, Name: s.Tunnel, Exchange: s.ID, ReplayOf: s.ReplayOf, Time: s.Start, Method: s.Method, Path: s.Path,
		Status: s.Status, Duration: s.Duration, Size: s.ResponseSize, Visitor: s.RemoteAddr,
		Err: s.Err, Detail: s.Detail, NoTarget: s.NoTarget,
		Stream: streamKind(s.Status, s.ContentType), Messages: s.Messages,
	}
}

func streamKind(status int, contentType string) model.StreamKind {
	if status == http.StatusSwitchingProtocols {
		return model.WebSocketStream
	}
	if kind, _, err := mime.ParseMediaType(contentType); err == nil && kind == "text/event-stream" {
		return model.EventStream
	}
	return model.NoStream
}

// life is an exchange that goes on.
type life struct {
	tunnel *engine.Tunnel
	stream *capture.Stream
	row    *model.Request
}

// lives are all exchanges that go on, by their IDs.
type lives struct {
	mu sync.Mutex
	m  map[string]*life
}

func (l *lives) add(id string, x *life) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[string]*life{}
	}
	l.m[id] = x
}

// take is the one with that ID, which is over, or nil.
func (l *lives) take(id string) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.m[id]
	delete(l.m, id)
	return x
}

func (l *lives) get(id string) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m[id]
}

// remove forgets those of a tunnel that is gone.
func (l *lives) remove(tunnel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, x := range l.m {
		if x.tunnel.Key() == tunnel {
			delete(l.m, id)
		}
	}
}

// sweep ends the rows of those that are over without having been told: their records
// were among those that were dropped.
func (l *lives) sweep(s *model.Store) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, x := range l.m {
		if !x.stream.Done() {
			continue
		}
		delete(l.m, id)
		last := x.stream.Snapshot()
		whole := engine.Exchange(x.tunnel, &last)
		r := row(x.row.Tunnel, whole)
		r.ID = x.row.ID
		s.EndRequest(r)
		s.KeepExchange(r.ID, whole)
	}
}
