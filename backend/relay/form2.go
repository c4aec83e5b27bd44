package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/mux"
	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// link2 is a connection in form 2.
type link2 struct {
	conn     *mux.Conn
	log      *slog.Logger
	take     taker
	carrying bool // it is an agent's; only the reader uses it
}

func newLink2(s *Server, ws *websocket.Conn, take taker) *link2 {
	l := &link2{log: s.log, take: take}
	// The server takes no connection over on which more has come than the handshake.
	frames := wsframe.New(ws.NetConn(), nil, false, wire.MaxMessage)
	l.conn = mux.New(frames, mux.Config{
		OnText:       l.onText,
		Buffers:      &s.frames,
		MaxStreams:   s.cfg.Limits.StreamsPerTunnel,
		PingInterval: s.cfg.Limits.PingInterval,
		PingTimeout:  s.cfg.Limits.PingTimeout,
	})
	return l
}

// onText acts on what stands beside the frames, or leaves that to take.
func (l *link2) onText(text []byte) {
	message, err := wire.Decode(text, wire.MaxControlMessage)
	switch m := message.(type) {
	case *wire.Ping:
		l.post(pong) // or enough of them are under way
	case *wire.ErrorMessage:
		logReport(l.log, l.carrying, m)
	default:
		l.take(message, err, len(text))
	}
}

// logReport notes an agent's error about the connection. Others may not write into
// the log.
func logReport(log *slog.Logger, carrying bool, m *wire.ErrorMessage) {
	if m != nil && carrying {
		log.Info("agent reports an error", "code", cutName(string(m.Code)), "message", cutName(m.Message))
	}
}

func (l *link2) limit(int64) {} // the multiplexer has its own

func (l *link2) carry(bool) { l.carrying = true }

func (l *link2) post(text []byte) error {
	err := l.conn.SendText(text)
	if errors.Is(err, wire.ErrTooLarge) {
		return errSlow
	}
	return err
}

// send need not wait: texts keep their order, and overtake frames.
func (l *link2) send(_ context.Context, text []byte) error { return l.conn.SendText(text) }

func (l *link2) run(ctx context.Context) error { return l.conn.Run(ctx) }

func (l *link2) lastSeen() time.Time { return l.conn.LastSeen() }

func (l *link2) probe(ctx context.Context) error { return l.conn.Probe(ctx) }

func (l *link2) drain(ctx context.Context) { l.conn.Drain(ctx) }

func (l *link2) close(code int, reason string) { l.conn.Close(code, reason) }
