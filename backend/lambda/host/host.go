// Package host is what stands between Lambda and Culvert: it reads the environment,
// makes the clients of AWS's services, hands each event to whoever serves its kind,
// and says in the log and in CloudWatch's metrics what has happened.
//
// One binary is several functions. CULVERT_ROLE says which one a process is, and so
// what has to be there and which events it serves. An event of another kind gets a
// 400, or what its sender understands in place of one, and nothing else runs.
package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"culvert/backend/action"
	"culvert/backend/lambda/agents"
	"culvert/backend/lambda/event"
)

// Agents serves the events of the agents' WebSocket API.
type Agents interface {
	// Handle gives what is to be answered. An error is logged; the agent does not
	// see it.
	Handle(ctx context.Context, m *event.Message) (agents.Outcome, error)
}

// Visitors answers visitors.
type Visitors interface {
	Serve(ctx context.Context, r *event.Request) *event.Answer
}

// Streams answers visitors bit by bit. The body that it returns is closed.
type Streams interface {
	Stream(ctx context.Context, r *event.Request) *event.Stream
}

// Resources makes custom resources for CloudFormation.
type Resources interface {
	Handle(ctx context.Context, r *event.Resource) event.Outcome
}

// Processor does actions.
type Processor interface {
	// Do always gives a reply that can be told. An error is logged.
	Do(ctx context.Context, c action.Call) (action.Reply, error)
}

// Notices serves the queues of notices.
type Notices interface {
	// Handle gives the IDs of those messages that are to come again.
	Handle(ctx context.Context, b *event.Batch) (failed []string)
}

// Host serves the events of one function, one after the other.
type Host struct {
	cfg     *Config
	log     *slog.Logger
	lines   slog.Handler // for the lines of requests and metrics, whatever log's level
	metrics *Metrics
	http    *http.Client // for answers to CloudFormation
	warm    bool
	abandon func()

	agents    Agents
	visitors  Visitors
	streams   Streams
	resources Resources
	processor Processor
	notices   Notices
}

// Options are what a Host works with. Of the last six, the role's own is needed.
type Options struct {
	Config  *Config
	Output  io.Writer // for log lines: Lambda reads standard output
	Log     *slog.Logger
	Metrics *Metrics
	HTTP    *http.Client
	// Abandon ends the process, and with it an invocation that cannot be ended otherwise.
	// Needed for the role stream.
	Abandon func()

	Agents    Agents
	Visitors  Visitors
	Streams   Streams
	Resources Resources
	Processor Processor
	Notices   Notices
}

// New makes a Host.
func New(o Options) (*Host, error) {
	if o.Config == nil || o.Output == nil || o.Log == nil || o.Metrics == nil {
		return nil, errors.New("host: config, output, log and metrics are needed")
	}
	h := &Host{
		cfg: o.Config, log: o.Log, metrics: o.Metrics, http: o.HTTP, abandon: o.Abandon,
		lines:  NewLogger(o.Output, slog.LevelDebug).Handler(),
		agents: o.Agents, visitors: o.Visitors, streams: o.Streams, resources: o.Resources,
		processor: o.Processor, notices: o.Notices,
	}
	served := map[Role]bool{
		RoleAgents: h.agents != nil, RolePublic: h.visitors != nil, RoleStream: h.streams != nil && h.abandon != nil,
		RoleKeys: h.resources != nil && h.http != nil, RoleProcessor: h.processor != nil, RoleNotices: h.notices != nil,
	}
	if !served[h.cfg.Role] {
		return nil, errors.New("host: there is nobody to serve the role " + string(h.cfg.Role))
	}
	return h, nil
}

// Streaming reports whether Stream serves this function's events, and not Invoke.
func (h *Host) Streaming() bool { return h.cfg.Role == RoleStream }

// serves says which kinds of events a role has anything to do with.
func (r Role) serves(k event.Kind) bool {
	switch r {
	case RoleAgents:
		return k == event.WebSocket
	case RolePublic:
		return k == event.HTTPv1 || k == event.HTTPv2
	case RoleStream:
		return k == event.FunctionURL
	case RoleKeys:
		return k == event.CustomResource
	case RoleProcessor:
		return k == event.Action
	case RoleNotices:
		return k == event.Queue
	}
	return false
}

// Invoke serves one event, and gives the text to be returned. It is lambda.Handler's.
// An error makes Lambda count a failure, and is for what nobody can be told about.
func (h *Host) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	in := h.begin(ctx)
	e, err := event.Parse(payload)
	if !h.cfg.Role.serves(e.Kind) || err != nil {
		return h.refuse(in, e.Kind, err)
	}
	switch e.Kind {
	case event.WebSocket:
		return h.message(ctx, in, e.Message), nil
	case event.CustomResource:
		return nil, h.resource(ctx, in, e.Resource)
	case event.Action:
		return h.do(ctx, in, e.Call), nil
	case event.Queue:
		return h.batch(ctx, in, e.Batch)
	default:
		return h.visit(ctx, in, e.Request), nil
	}
}

// refuse answers an event that this function does not serve, or that is broken.
func (h *Host) refuse(in *invocation, kind event.Kind, err error) ([]byte, error) {
	if err == nil {
		err = errors.New("another function serves events of this kind: see which one the API, rule or queue invokes")
	}
	in.add(slog.String("event", kind.String()))
	in.fail("event refused", err)
	in.end(http.StatusBadRequest)
	const text = "The backend does not understand this event."
	switch {
	case h.cfg.Role == RoleProcessor:
		return encodeReply(action.Reply{Error: action.Invalid(text)}), nil
	case h.cfg.Role == RoleNotices:
		// Any answer would have the queue delete what it has brought.
		return nil, errors.New("event refused: the function's log says why")
	case kind.HTTP():
		return event.Refuse(nil, http.StatusBadRequest, nil, text).Encode(kind)
	}
	return event.EncodeMessageAnswer(http.StatusBadRequest, text), nil
}
