package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"culvert/app/link"
	"culvert/app/plain"
	"culvert/backend/wire"
)

// meeting is what came of the handshake.
type meeting struct {
	link    *link.Link   // nil if it was refused
	client  *link.Client // stands in for it; nil if there is none
	asked   bool         // one was tried for
	refusal *wire.Error
	stop    context.CancelFunc
	ended   chan struct{}
}

// end leaves the backend and waits until nothing of it is left.
func (m *meeting) end() {
	if m == nil {
		return
	}
	m.dismiss()
	if m.link == nil {
		return
	}
	m.stop()
	m.link.Close()
	<-m.ended
	m.link.Settle()
}

// dismiss ends the connection without a tunnel, if there is one.
func (m *meeting) dismiss() {
	if m.client != nil {
		m.client.Close()
		m.client = nil
	}
}

// config is how the backend is reached, for one connection.
func (e *examination) config() *link.Config {
	return &link.Config{
		Backend: e.URL, Token: e.Backend.Token, Owner: e.Owner, RootCAs: e.RootCAs, Agent: e.Agent,
		DialTimeout: e.limits.dial, HelloTimeout: e.limits.dial,
		Handler: func(x wire.Exchange) { x.Reset(wire.ResetUnavailable, "this tunnel is only a test of the backend") },
	}
}

// handshake connects as an agent does.
func (e *examination) handshake(ctx context.Context) Check {
	cfg := e.config()
	// No name is asked for and no secret of a tunnel shown, so that none can be taken over.
	l, err := cfg.Dial(ctx, link.Hello{Instance: rand.Text()})
	if err == nil {
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		e.met = &meeting{link: l, stop: stop, ended: make(chan struct{})}
		go func() {
			defer close(e.met.ended)
			_ = l.Run(running)
		}()
		return Check{State: OK, Detail: "the backend greeted, with the tunnel name " + l.Established().TunnelID}
	}
	var refusal *wire.Error
	if !errors.As(err, &refusal) {
		return Check{State: Failed, Detail: tidy(err.Error()), Advice: astray(err)}
	}
	e.met = &meeting{refusal: refusal}
	switch refusal.Code {
	case wire.CodeUnauthorized, wire.CodeForbidden:
		return Check{State: OK, Detail: "the backend answered, and does not let this computer in"} // see token
	case wire.CodeNameTaken:
		return Check{State: OK, Detail: "the backend answered: " + tidy(refusal.Message)}
	case wire.CodeTooManyTunnels:
		return Check{State: Warn, Detail: tidy(refusal.Message), Advice: "Close a tunnel, or ask the backend's owner for more."}
	case wire.CodeThrottled:
		return Check{State: Failed, Detail: "the backend has too much to do", Advice: "Try again in a minute."}
	}
	return Check{State: Failed, Detail: tidy(refusal.Message), Advice: "See the backend's log.", Refused: refusal.Code.Permanent()}
}

// astray is what to do about an address at which nobody greeted.
func astray(err error) string {
	var page *link.NoUpgradeError
	switch {
	case errors.As(err, &page) && page.Status == http.StatusNotFound:
		return "Check that the address is a tunnel backend's, and the agents' one: visitors have another in AWS (agents dial AgentsUrl) and at culvert aws-local (agents dial ws://)."
	case errors.Is(err, websocket.ErrBadHandshake) && page == nil:
		return "Correct the beginning of the address." // how, is what was found
	}
	return "Check that the address is a tunnel backend's, and that it runs."
}

// asker answers actions: an agent's connection, or a client's.
type asker interface {
	Ask(ctx context.Context, action string, data any) (json.RawMessage, error)
}

// asked gives whom to ask. Where the backend knows this computer and has no tunnel for
// it, a connection without one will do.
func (e *examination) asked(ctx context.Context) asker {
	switch {
	case e.met == nil:
		return nil
	case e.met.link != nil:
		return e.met.link
	case e.met.client != nil:
		return e.met.client
	case e.met.asked || e.met.refusal.Code != wire.CodeTooManyTunnels && e.met.refusal.Code != wire.CodeNameTaken:
		return nil
	}
	e.met.asked = true
	ctx, cancel := context.WithTimeout(ctx, e.limits.dial)
	defer cancel()
	client, err := e.config().DialClient(ctx)
	if err != nil {
		return nil
	}
	e.met.client = client
	return client
}

// slow is a round trip that people notice in every request.
const slow = time.Second

// roundTrip sends messages there and back. Behind API Gateway each costs, so there it
// is one.
func (e *examination) roundTrip(ctx context.Context) Check {
	whom := e.asked(ctx)
	if whom == nil {
		return Check{State: Skipped, Detail: "there is no connection to measure it on"}
	}
	ctx, cancel := context.WithTimeout(ctx, e.limits.round)
	defer cancel()
	times, best := 3, time.Duration(0)
	if e.gateway() {
		times = 1
	}
	way, round := " by echo", func() error { return echoed(ctx, whom) }
	for n := 0; n < times; n++ {
		begun := time.Now()
		err := round()
		var refused *wire.ActionError
		if (errors.Is(err, errors.ErrUnsupported) || errors.As(err, &refused)) && way != "" && e.met.link != nil {
			// A backend without actions, or whose Processor is not there: a sign of life will do.
			way, round = "", func() error { return e.met.link.Probe(ctx) }
			n--
			continue
		}
		switch {
		case errors.Is(err, errors.ErrUnsupported), errors.As(err, &refused):
			return Check{State: Skipped, Detail: "this backend answers no such question"}
		case errors.Is(err, context.DeadlineExceeded):
			return Check{State: Failed, Detail: "no sign of life from the backend within " + e.limits.round.String(), Advice: "Something on the way, such as a proxy, may hold WebSockets back."}
		case err != nil:
			return Check{State: Failed, Detail: tidy(err.Error()), Advice: "Something on the way, such as a proxy, may hold WebSockets back."}
		}
		if took := time.Since(begun); best == 0 || took < best {
			best = took
		}
	}
	c := Check{State: OK, Detail: fmt.Sprintf("%d ms%s", max(best.Milliseconds(), 1), way)}
	if best > slow {
		c.State, c.Advice = Warn, "Every request takes this long at least: a backend that is nearer would be faster."
	}
	return c
}

// echoed asks for an echo, and makes sure that it is one.
func echoed(ctx context.Context, whom asker) error {
	word := rand.Text()
	result, err := whom.Ask(ctx, "echo", word)
	if err != nil {
		return err
	}
	var back string
	if json.Unmarshal(result, &back) != nil || back != word {
		return errors.New("the backend's echo is not what was sent: something on the way changes messages")
	}
	return nil
}

// version compares what the backend speaks.
func (e *examination) version(context.Context) Check {
	switch {
	case e.known():
		return Check{State: Skipped, Detail: "not known: there was no tunnel left for the test"}
	case e.met == nil || e.met.link == nil:
		return Check{State: Skipped, Detail: "the backend does not let this computer in"}
	}
	est := e.met.link.Established()
	name := cmp.Or(tidy(est.Backend), "a backend that does not say its version")
	if est.Protocol < wire.ProtocolVersion {
		return Check{State: Warn, Detail: name + ", which speaks the first form of the protocol", Advice: "Update the backend: requests are smaller and slower with this one."}
	}
	if est.Protocol > wire.ProtocolVersion {
		return Check{State: Warn, Detail: name + ", which is newer than this program", Advice: "Update Culvert to use all that it offers."}
	}
	if !slices.Contains(est.Capabilities, wire.CapActions) {
		return Check{State: Warn, Detail: name + ", an older one, which knows no actions and no notices", Advice: "Update the backend: tunnels work, but culvert connections and notices do not."}
	}
	return Check{State: OK, Detail: name}
}

// tidy makes text from elsewhere safe to show, and takes out of it how the command
// line would be told, which is no help in a window.
func tidy(s string) string {
	return flags.Replace(plain.Line(s))
}

var flags = strings.NewReplacer(
	": check --backend and the network connection", "", ": check --backend", "", "check --token and --backend", "check the token",
	": name the right address with --backend", "", " in --backend", "", ": use --backend", "",
	": give it a valid token with --token or --token-file", "", ": name a file that holds one with --token-file", "",
	": if that is yours, name its certificate with --ca-file", "", ": use --token", "",
)
