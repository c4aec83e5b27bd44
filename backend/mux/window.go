package mux

import "culvert/backend/wire"

// Flow control. Sending: credit is what the peer still allows. Receiving: allowed
// is what we still allow the peer; it shrinks as payloads arrive and grows when
// the reader has consumed them.

// reserve takes up to n bytes of credit, and waits until there is some.
func (s *Stream) reserve(n int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writeErr != nil:
			return 0, s.writeErr
		case !s.sentHead:
			return 0, errNoHead
		case s.sentEnd:
			return 0, errEnded
		}
		if n == 0 {
			return 0, nil
		}
		if s.credit > 0 {
			n = min(n, wire.MaxData, int(s.credit))
			s.credit -= int64(n)
			return n, nil
		}
		s.granted.Wait()
	}
}

// grow adds to what we may send.
func (s *Stream) grow(n int64) (violation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.credit+n > wire.MaxWindow {
		return "WINDOW frames over the maximum"
	}
	s.credit += n
	s.granted.Broadcast()
	return ""
}

// admit counts a DATA frame of n bytes against the stream's window.
func (s *Stream) admit(n int) (violation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.recvEnd:
		return "DATA frame after the end"
	case !s.gotHead:
		return "DATA frame before the response head"
	case n > s.allowed:
		return "DATA frame over the window"
	}
	s.allowed -= n
	s.toCome -= int64(n)
	return ""
}

// announced takes note of the length of the body that comes, or -1, and gives what the
// peer may be granted at once: a body of moderate size comes without a pause then. s.mu
// is held, or nobody else has s.
func (s *Stream) announced(length int64) (grant int) {
	s.toCome = length
	s.c.large.Store(length > wire.InitialWindow)
	return s.widen(int(min(length, promptWindow)))
}

// expected is announced before anything is known, for a stream that is being opened: it
// goes by the last answer. Its grant travels with the request, and costs no message.
func (s *Stream) expected() (grant int) {
	if !s.c.large.Load() {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.widen(promptWindow)
}

// widen makes the window so large, if the budget has it, and gives the difference.
func (s *Stream) widen(window int) (grant int) {
	grant = window - s.window
	if grant <= 0 || s.recvEnd || !s.c.takeBudget(grant) {
		return 0
	}
	s.window += grant
	s.allowed += grant
	return grant
}

// consume counts what was read, and gives what the peer may be granted now: in
// few large steps, and more than was consumed if the reader waits for the peer
// and not the other way round. s.mu is held.
func (s *Stream) consume(n int) (grant int) {
	if s.recvEnd {
		if s.in.size == 0 {
			s.returnBudget()
		}
		return 0
	}
	s.consumed += n
	if s.consumed < s.window/2 || s.toCome > 0 && s.toCome <= int64(s.allowed) {
		return 0
	}
	grant = s.consumed
	if more := min(s.window, maxStreamWindow-s.window); more > 0 && s.in.size == 0 && s.c.takeBudget(more) {
		s.window += more
		grant += more
	}
	s.consumed = 0
	s.allowed += grant
	return grant
}

// takeBudget takes n bytes for the growth of a window, if they are there.
func (c *Conn) takeBudget(n int) bool {
	if c.budget.Add(-int64(n)) >= 0 {
		return true
	}
	c.budget.Add(int64(n))
	return false
}

// returnBudget gives back what this stream's window has grown by. s.mu is held.
func (s *Stream) returnBudget() {
	s.c.budget.Add(int64(s.window - wire.InitialWindow))
	s.window = wire.InitialWindow
}
