package relay

import (
	"context"
	"log/slog"

	"github.com/gorilla/websocket"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// link2 is an agent's connection in form 2.
type link2 struct {
	conn *mux.Conn
	log  *slog.Logger
}

func newLink2(s *Server, ws *websocket.Conn) *link2 {
	l := &link2{log: s.log}
	l.conn = mux.New(ws, mux.Config{
		OnText:       l.onText,
		MaxStreams:   s.cfg.Limits.StreamsPerTunnel,
		PingInterval: s.cfg.Limits.PingInterval,
		PingTimeout:  s.cfg.Limits.PingTimeout,
	})
	return l
}

// onText answers what stands beside the frames.
func (l *link2) onText(text []byte) {
	message, err := wire.Decode(text, wire.MaxControlMessage)
	if err != nil {
		l.log.Debug("agent's message ignored", "cause", err)
		return
	}
	switch message := message.(type) {
	case *wire.Ping:
		l.send(&wire.Pong{})
	case *wire.ErrorMessage:
		l.log.Info("agent reports an error", "code", message.Code, "message", message.Message)
	}
}

func (l *link2) send(message any) {
	text, err := wire.Encode(message)
	if err == nil {
		err = l.conn.SendText(text)
	}
	if err != nil {
		l.log.Debug("message to an agent not sent", "cause", err)
	}
}

func (l *link2) run(ctx context.Context) error { return l.conn.Run(ctx) }

func (l *link2) probe(ctx context.Context) error { return l.conn.Probe(ctx) }

func (l *link2) tell(e *wire.Error) {
	l.send(&wire.ErrorMessage{Code: e.Code, Message: e.Message})
}

func (l *link2) drain(ctx context.Context) { l.conn.Drain(ctx) }

func (l *link2) close(code int, reason string) { l.conn.Close(code, reason) }
