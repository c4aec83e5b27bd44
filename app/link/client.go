package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// Client is a connection to a backend without a tunnel, for a few questions.
type Client struct {
	cfg   *Config
	ws    *websocket.Conn
	asked actions
	write sync.Mutex
	done  chan struct{} // closed when nothing is read any more

	mu       sync.Mutex
	answered bool  // some action was
	reason   error // why the connection ended; set before done is closed
}

// DialClient connects without asking for a tunnel. The token, if there is one, says who
// asks, else the owner key does. Errors are as those of Dial. The configuration needs no
// Handler. Close must be called in the end.
func (c *Config) DialClient(ctx context.Context) (*Client, error) {
	if err := ValidateBackend(c.Backend, c.Token); err != nil {
		return nil, err
	}
	cl := &Client{cfg: c, done: make(chan struct{})}
	challenge := ""
	err := c.withToken(func(token string) error {
		var err error
		// Without a subprotocol all messages are text, with every backend.
		cl.ws, err = c.open(ctx, token, nil, func(_ *websocket.Conn, asked string) error {
			challenge = asked
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	cl.ws.SetReadLimit(wire.MaxGatewayMessage)
	go func() {
		defer close(cl.done)
		cl.read()
	}()
	if c.Token == "" && !c.Owner.IsZero() {
		if err := cl.authorize(ctx, challenge); err != nil {
			cl.Close()
			return nil, err
		}
	}
	return cl, nil
}

// authorize shows the owner key, in the way of ready.
func (cl *Client) authorize(ctx context.Context, challenge string) error {
	limited, cancel := context.WithTimeout(ctx, orDefault(cl.cfg.HelloTimeout, defaultHelloTimeout))
	defer cancel()
	_, err := cl.Ask(limited, "authorize", map[string]string{
		"owner": cl.cfg.Owner.Public(),
		"proof": cl.cfg.Owner.Sign(cl.cfg.address().Host, challenge),
	})
	var failed *wire.ActionError
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return &dialError{fmt.Sprintf("%s opened a WebSocket, but answers no actions: is it a tunnel backend of this version?", hostPort(cl.cfg.address())), errors.ErrUnsupported}
	case errors.As(err, &failed) && failed.Code == wire.CodeNotImplemented:
		return &dialError{"this backend answers no actions: update it", errors.ErrUnsupported}
	case errors.As(err, &failed):
		return &wire.Error{Code: failed.Code, Message: failed.Message}
	}
	return err
}

// Ask is as Link.Ask.
func (cl *Client) Ask(ctx context.Context, action string, data any) (json.RawMessage, error) {
	result, err := cl.asked.ask(ctx, action, data, cl.send, cl.done)
	if errors.Is(err, errEnded) {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		if !cl.answered {
			return nil, unanswered(cl.reason)
		}
		return nil, cl.reason
	}
	return result, err
}

// unanswered adds a guess to why a connection ended on which no answer has ever come,
// unless the reason is known better.
func unanswered(reason error) error {
	var refusal *wire.Error
	if errors.As(reason, &refusal) || errors.Is(reason, ErrSilent) ||
		websocket.IsCloseError(errors.Unwrap(reason), websocket.CloseGoingAway, websocket.CloseServiceRestart, websocket.CloseTryAgainLater) {
		return reason
	}
	return &dialError{reason.Error() + ": it may be an older one that knows no actions: update it", reason}
}

// Close ends the connection.
func (cl *Client) Close() {
	goodbye(cl.ws)
	<-cl.done
}

func (cl *Client) send(text []byte) error {
	cl.write.Lock()
	defer cl.write.Unlock()
	_ = cl.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := cl.ws.WriteMessage(websocket.TextMessage, text); err != nil {
		_ = cl.ws.Close()
		<-cl.done // it knows better why
		return errEnded
	}
	return nil
}

// read takes messages until the connection ends.
func (cl *Client) read() {
	for {
		kind, text, err := cl.ws.ReadMessage()
		if err != nil {
			cl.ended(lostError(err))
			_ = cl.ws.Close()
			return
		}
		if kind == websocket.TextMessage {
			cl.onMessage(text)
		}
	}
}

// ended keeps the first reason.
func (cl *Client) ended(reason error) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.reason == nil {
		cl.reason = reason
	}
}

func (cl *Client) onMessage(text []byte) {
	log := cl.cfg.logger()
	message, err := wire.Decode(text, wire.MaxGatewayMessage)
	if err != nil {
		log.Warn("message from the backend ignored", "error", err)
		return
	}
	switch m := message.(type) {
	case *wire.ActionAnswer:
		cl.mu.Lock()
		cl.answered = true
		cl.mu.Unlock()
		if !cl.asked.take(m) {
			log.Debug("answer to an action that nobody waits for ignored", "action", printable(m.Action))
		}
	case *wire.Notice:
		cl.cfg.onNotice(m)
	case *wire.ErrorMessage:
		if m.RequestID == "" {
			cl.ended(refusalOf(m)) // the backend closes next
		}
	case *wire.Unknown:
		if said := gatewayMessage(m.Text); m.Type == "" && said != "" {
			cl.asked.failOnly(&dialError{fmt.Sprintf("the API answered %q: see the backend's log", printable(said)), wire.ErrProtocol})
		}
	default:
		log.Debug("message from the backend ignored", "type", fmt.Sprintf("%T", m))
	}
}
