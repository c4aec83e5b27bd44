package engine

import (
	"culvert/app/session"
	"culvert/backend/wire"
)

// LocalError is the cause of session.Refused when no backend has refused anything:
// the relay that is built in cannot run here, and will not before a person has
// mended what the error names.
type LocalError struct{ Err error }

func (e *LocalError) Error() string { return e.Err.Error() }

func (e *LocalError) Unwrap() error { return e.Err }

// failHere ends the tunnel's session for good because of err. A session ends by
// itself only when it is refused, so that this is made to look like it on the way.
func (t *Tunnel) failHere(err *LocalError) error {
	refusal := &wire.Error{Code: wire.CodeForbidden, Message: err.Error()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.localRefusal, t.localError = refusal, err
	return refusal
}

// told is a session's status as the world is told of it: without its secrets, which
// have no place in logs and windows, and with the true cause.
func (t *Tunnel) told(s session.Status) session.Status {
	s.Established.Resume, s.Established.Session = "", ""
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.localRefusal != nil && s.Cause == error(t.localRefusal) {
		s.Cause = t.localError
	}
	return s
}
