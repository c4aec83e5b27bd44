package tunnel

import (
	"fmt"
	"time"

	"culvert/backend/wire"
)

// How long a tunnel outlives its agent.
const (
	// Linger is how long a tunnel without an agent is still known to visitors (502), before it is unknown (404).
	Linger = 15 * time.Minute
	// KeepNamed is how long a name that was asked for stays its owner's.
	KeepNamed = 90 * 24 * time.Hour
	// KeepRandom is the same for an ID that the backend chose: long enough for a
	// laptop that sleeps over a weekend.
	KeepRandom = 3 * 24 * time.Hour
)

// MaxEpoch bounds epochs to what every JSON reader takes for an integer.
const MaxEpoch = 1<<53 - 1

// Record is what a backend knows of a tunnel.
type Record struct {
	ID string
	// Owner is "user:"+subject, "key:"+public owner key, or "" for a tunnel that
	// belongs to whoever shows its resume secret.
	Owner string
	// Epoch counts the tunnel's connections; the highest is the valid one.
	Epoch int64
	// Instance is the session that holds, or last held, the tunnel; may be "".
	Instance string
	// Named says that the ID was asked for by its owner, not made up by the backend.
	Named bool
	// Live says that a connection holds the tunnel as far as the backend knows.
	Live bool
	// Seen is when the tunnel was last known to be live.
	Seen time.Time
}

// Expired reports whether the tunnel is nobody's any more.
func (r *Record) Expired(now time.Time) bool {
	keep := KeepRandom
	switch {
	case r.Live:
		return false
	case r.Named:
		keep = KeepNamed
	case r.Owner == "":
		keep = Linger
	}
	return now.Sub(r.Seen) >= keep
}

// Claim is an agent's wish for a tunnel, after its backend has checked who it is.
type Claim struct {
	ID       string // valid
	Owner    string // see Record.Owner
	Instance string
	Epoch    int64 // the last one the agent was given; 0 if none
	// Resumed says that the agent showed the valid resume secret for ID and Owner.
	Resumed bool
	// Fresh says that the backend has just made ID up for this agent.
	Fresh bool
}

// Verdict is how a claim is granted.
type Verdict int

const (
	// Granted: nobody holds the tunnel.
	Granted Verdict = iota
	// TakenOver: the connection that holds it is to be told that it is replaced, and closed.
	TakenOver
	// Renewed: the connection that holds it is of the same session, which
	// replaces it as planned: what runs on it may finish.
	Renewed
	// Unproven: a connection holds it, and the claim did not show the resume
	// secret. It counts once that connection has turned out to be dead: then
	// decide again with Live false. If it is alive, answer [NameInUse].
	Unproven
)

func (v Verdict) String() string {
	switch v {
	case Granted:
		return "granted"
	case TakenOver:
		return "taken over"
	case Renewed:
		return "renewed"
	case Unproven:
		return "unproven"
	}
	return fmt.Sprintf("Verdict(%d)", int(v))
}

// Decide says who has the tunnel after claim c, given the record cur of it (nil
// if there is none). It changes nothing itself: the caller stores next instead of
// cur, if nobody else has stored another one meanwhile. A refusal is a *wire.Error.
func Decide(cur *Record, c Claim, now time.Time) (next Record, v Verdict, err error) {
	if c.Epoch < 0 || c.Epoch > MaxEpoch {
		return Record{}, 0, &wire.Error{Code: wire.CodeInvalidRequest, Message: "the connection number shown with the resume secret is out of range"}
	}
	next = Record{
		ID: c.ID, Owner: c.Owner, Epoch: min(c.Epoch, MaxEpoch-1) + 1, Instance: c.Instance,
		Named: !c.Fresh && !c.Resumed, Live: true, Seen: now,
	}
	if cur == nil || cur.Expired(now) {
		if c.Owner == "" && !c.Resumed && !c.Fresh {
			return Record{}, 0, &wire.Error{Code: wire.CodeUnauthorized,
				Message: fmt.Sprintf("the tunnel name %q must belong to somebody: connect with an owner key or a token, or ask for no name", c.ID)}
		}
		return next, Granted, nil
	}
	if cur.Owner != c.Owner || c.Owner == "" && !c.Resumed {
		return Record{}, 0, &wire.Error{Code: wire.CodeNameTaken,
			Message: fmt.Sprintf("the tunnel name %q belongs to somebody else: choose another one", c.ID)}
	}
	next.Epoch = min(max(cur.Epoch, c.Epoch), MaxEpoch-1) + 1
	next.Named = next.Named || cur.Named
	sameInstance := c.Instance != "" && c.Instance == cur.Instance
	switch {
	case !cur.Live:
		return next, Granted, nil
	case !c.Resumed:
		return Record{}, Unproven, nil
	case sameInstance:
		return next, Renewed, nil
	case c.Epoch < cur.Epoch:
		// The late comer lost the tunnel earlier and does not know it yet. Were it
		// to win, two sessions would throw each other out for ever.
		return Record{}, 0, &wire.Error{Code: wire.CodeReplaced,
			Message: fmt.Sprintf("another process has taken over the tunnel %q: stop one of the two", c.ID)}
	default:
		return next, TakenOver, nil
	}
}

// NameInUse is the refusal of an Unproven claim whose holder is alive.
func NameInUse(id string) *wire.Error {
	return &wire.Error{Code: wire.CodeNameTaken,
		Message: fmt.Sprintf("another process of yours holds the tunnel name %q: stop it, or choose another name", id)}
}
