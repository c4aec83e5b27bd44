package link

import (
	"context"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/mux"
	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// pingInterval is how long the backend may be silent before the agent asks. Backends
// ask before, so that mostly only one side does.
const pingInterval = 20 * time.Second

// form2 serves binary frames: every request is a stream. Package mux does the
// work; here is what stands beside the frames.
type form2 struct {
	link *Link
	conn *mux.Conn
}

func newForm2(l *Link, frames *wsframe.Conn) *form2 {
	f := &form2{link: l}
	f.conn = mux.New(frames, mux.Config{
		Handler:      func(s *mux.Stream) { l.serve(s) },
		OnText:       f.onText,
		Buffers:      l.cfg.Buffers,
		PingInterval: pingInterval,
	})
	return f
}

func (f *form2) onText(text []byte) {
	log := f.link.log
	message, err := wire.Decode(text, wire.MaxControlMessage)
	if err != nil {
		log.Warn("message from the backend ignored", "error", err)
		return
	}
	switch m := message.(type) {
	case *wire.ErrorMessage:
		if m.RequestID == "" { // streams have resets
			f.link.onError(m)
		}
	case *wire.Ping:
		if text, err := wire.Encode(&wire.Pong{}); err == nil {
			_ = f.conn.SendText(text) // fails only at the end
		}
	case *wire.ActionAnswer:
		f.link.onAnswer(m)
	case *wire.Notice:
		f.link.cfg.onNotice(m)
	case *wire.Unknown:
		log.Info("message from the backend ignored", "type", printable(string(m.Type)), "message", printable(m.Text))
	}
}

func (f *form2) run(ctx context.Context) error   { return f.conn.Run(ctx) }
func (f *form2) probe(ctx context.Context) error { return f.conn.Probe(ctx) }
func (f *form2) drain(ctx context.Context) error { return f.conn.Drain(ctx) }
func (f *form2) sendText(text []byte) error      { return f.conn.SendText(text) }
func (f *form2) close()                          { f.conn.Close(websocket.CloseNormalClosure, "") }
