// Package ticket makes request IDs and session tokens that authenticate themselves.
//
// An agent answers a request by the ID that came with it, through another process
// than the one that waits. Nothing is stored about a request under way: whoever
// receives the answer recomputes the ID's message authentication code (HMAC, RFC
// 2104) and so knows that this backend has made the ID, for which tunnel, until
// when, and which waiting connection wants the answer. To agents an ID is opaque.
//
// Everything here is pure: no input or output, no clock but the caller's.
package ticket

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Bounds. With all of them reached, an ID has 231 characters, within the 256 that
// the protocol allows.
const (
	// MaxWaiter bounds a waiter's connection ID in bytes; those of API Gateway have 16.
	MaxWaiter = 74
	// MaxTunnel bounds a tunnel ID in bytes, as package tunnel does.
	MaxTunnel = 63
	// MaxText bounds a request ID or session token in characters.
	MaxText = 256
)

// Errors of Open and OpenSession.
var (
	// ErrForged: not made by this backend's keys, or for another sender. A key that
	// this process does not know yet gives the same error.
	ErrForged = errors.New("not an ID of this backend for this sender")
	// ErrExpired: made by this backend, and too old.
	ErrExpired = errors.New("the ID has expired")
)

// Ticket is what a request ID says.
type Ticket struct {
	// Bound says that only the connection it was sent to may answer; for peers
	// that cannot hold a session token.
	Bound bool
	// Stream says that the answer is streamed: parts may come for minutes.
	Stream bool
	// Expires is when answers come too late, to the second.
	Expires time.Time
	Nonce   [12]byte
	// Waiter is the connection that waits for the answer; "" if it is to be stored.
	Waiter string
	Tunnel string
}

// NewNonce makes a Nonce.
func NewNonce() (nonce [12]byte) {
	rand.Read(nonce[:]) // never fails since Go 1.24
	return nonce
}

// Key is the ticket's key among the stored answers.
func (t Ticket) Key() string { return base64.RawURLEncoding.EncodeToString(t.Nonce[:]) }

// Domains keep MACs of one kind from being of use as another.
const (
	ticketDomain  = "culvert request v1\x00"
	sessionDomain = "culvert session v1\x00"
)

const (
	version    = 1
	flagBound  = 1 << 0
	flagStream = 1 << 1
	macSize    = 16
	// fixedSize: version, flags, expiry, nonce, two lengths.
	fixedSize = 1 + 1 + 4 + 12 + 1 + 1
)

// Issue makes the request ID for t. sender is the agent's connection if t is
// Bound, and not looked at otherwise. It panics if t is nothing that Open could
// ever give back: a tunnel or waiter over its bound, or a bound ticket for nobody.
func (k *Keyring) Issue(t Ticket, sender string) string {
	if t.Tunnel == "" || len(t.Tunnel) > MaxTunnel || len(t.Waiter) > MaxWaiter || t.Bound && sender == "" {
		panic(fmt.Sprintf("ticket: Issue for tunnel %q, waiter %q, sender %q", t.Tunnel, t.Waiter, sender))
	}
	var flags byte
	if t.Bound {
		flags |= flagBound
	} else {
		sender = ""
	}
	if t.Stream {
		flags |= flagStream
	}
	b := make([]byte, 0, fixedSize+len(t.Waiter)+len(t.Tunnel)+macSize)
	b = append(b, version, flags)
	b = binary.BigEndian.AppendUint32(b, seconds(t.Expires))
	b = append(b, t.Nonce[:]...)
	b = appendText(b, t.Waiter)
	b = appendText(b, t.Tunnel)
	return encode(k.seal(b, ticketDomain, sender))
}

// Open reads a request ID that came over the connection sender at the time now.
// ErrExpired comes with the ticket, for the log; ErrForged with nothing.
func (k *Keyring) Open(id, sender string, now time.Time) (Ticket, error) {
	b, err := decode(id)
	if err != nil {
		return Ticket{}, err
	}
	// The flags say what the MAC is over. One that is not genuine gains nothing by
	// them: no ID of the other sort has the same MAC, since they are under it.
	if len(b) < fixedSize+macSize || b[0] != version || b[1]&^(flagBound|flagStream) != 0 {
		return Ticket{}, ErrForged
	}
	t := Ticket{Bound: b[1]&flagBound != 0, Stream: b[1]&flagStream != 0}
	switch {
	case !t.Bound:
		sender = ""
	case sender == "":
		return Ticket{}, ErrForged
	}
	if b, err = k.unseal(b, ticketDomain, sender); err != nil {
		return Ticket{}, err
	}
	t.Expires = timeOf(binary.BigEndian.Uint32(b[2:]))
	copy(t.Nonce[:], b[6:])
	waiter, rest, ok := cutText(b[18:])
	if !ok {
		return Ticket{}, ErrForged
	}
	tunnel, rest, ok := cutText(rest)
	if !ok || len(rest) > 0 || tunnel == "" || len(tunnel) > MaxTunnel || len(waiter) > MaxWaiter {
		return Ticket{}, ErrForged
	}
	t.Waiter, t.Tunnel = waiter, tunnel
	if !now.Before(t.Expires) {
		return t, ErrExpired
	}
	return t, nil
}

// Session makes the token that lets its bearer answer, from any connection, the
// requests that were sent to tunnel.
func (k *Keyring) Session(tunnel string, expires time.Time) string {
	if tunnel == "" || len(tunnel) > MaxTunnel {
		panic(fmt.Sprintf("ticket: Session for tunnel %q", tunnel))
	}
	b := make([]byte, 0, 6+len(tunnel)+macSize)
	b = append(b, version)
	b = binary.BigEndian.AppendUint32(b, seconds(expires))
	b = appendText(b, tunnel)
	return encode(k.seal(b, sessionDomain, ""))
}

// OpenSession says for which tunnel a session token is.
func (k *Keyring) OpenSession(token string, now time.Time) (tunnel string, err error) {
	b, err := decode(token)
	if err != nil {
		return "", err
	}
	if len(b) < 6+macSize || b[0] != version {
		return "", ErrForged
	}
	if b, err = k.unseal(b, sessionDomain, ""); err != nil {
		return "", err
	}
	tunnel, rest, ok := cutText(b[5:])
	if !ok || len(rest) > 0 || tunnel == "" || len(tunnel) > MaxTunnel {
		return "", ErrForged
	}
	if !now.Before(timeOf(binary.BigEndian.Uint32(b[1:]))) {
		return "", ErrExpired
	}
	return tunnel, nil
}

// seconds fits times into four bytes, which reach until 2106.
func seconds(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), 1<<32-1))
}

func timeOf(seconds uint32) time.Time { return time.Unix(int64(seconds), 0) }

func appendText(b []byte, s string) []byte {
	return append(append(b, byte(len(s))), s...)
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return "", nil, false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], true
}
