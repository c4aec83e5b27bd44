package ticket

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func key(c byte) []byte { return bytes.Repeat([]byte{c}, MinKey) }

func ring(t testing.TB, keys ...[]byte) *Keyring {
	t.Helper()
	k, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func some(change func(*Ticket)) Ticket {
	t := Ticket{Expires: now.Add(30 * time.Second), Nonce: [12]byte{1, 2, 3}, Waiter: "L0SM9cOFvHcCIhw=", Tunnel: "shop"}
	if change != nil {
		change(&t)
	}
	return t
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	k := ring(t, key('a'))
	for name, want := range map[string]Ticket{
		"plain":     some(nil),
		"bound":     some(func(t *Ticket) { t.Bound = true }),
		"stream":    some(func(t *Ticket) { t.Stream = true }),
		"no waiter": some(func(t *Ticket) { t.Waiter = "" }),
		"both":      some(func(t *Ticket) { t.Bound, t.Stream = true, true }),
		"longest": some(func(t *Ticket) {
			t.Waiter, t.Tunnel = strings.Repeat("w", MaxWaiter), strings.Repeat("t", MaxTunnel)
		}),
	} {
		id := k.Issue(want, "conn")
		if len(id) > MaxText {
			t.Errorf("%s: %d characters", name, len(id))
		}
		got, err := k.Open(id, "conn", now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestKeyIsTheNonce(t *testing.T) {
	t.Parallel()
	a, b := some(nil), some(func(t *Ticket) { t.Tunnel, t.Waiter = "other", "" })
	if a.Key() != b.Key() || len(a.Key()) != 16 {
		t.Errorf("keys %q and %q", a.Key(), b.Key())
	}
	if one, two := NewNonce(), NewNonce(); one == two {
		t.Error("two nonces are one")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	k, other := ring(t, key('a')), ring(t, key('b'))
	plain, bound := some(nil), some(func(t *Ticket) { t.Bound = true })
	id := k.Issue(plain, "")
	flipped := func(at int) string {
		b, err := decode(id)
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		return encode(b)
	}
	for _, c := range []struct {
		name, id, sender string
		now              time.Time
		want             error
	}{
		{"good", id, "", now, nil},
		{"good from anywhere", id, "any", now, nil},
		{"just in time", id, "", plain.Expires.Add(-1), nil},
		{"expired", id, "", plain.Expires, ErrExpired},
		{"long expired", id, "", now.Add(time.Hour), ErrExpired},
		{"other key", other.Issue(plain, ""), "", now, ErrForged},
		{"bound, from its connection", k.Issue(bound, "conn"), "conn", now, nil},
		{"bound, from another connection", k.Issue(bound, "conn"), "conn2", now, ErrForged},
		{"bound, from nowhere", k.Issue(bound, "conn"), "", now, ErrForged},
		{"bound, expired, from another connection", k.Issue(bound, "conn"), "conn2", now.Add(time.Hour), ErrForged},
		{"version", flipped(0), "", now, ErrForged},
		{"made bound", flipped(1), "conn", now, ErrForged},
		{"later expiry", flipped(2), "", now, ErrForged},
		{"other nonce", flipped(6), "", now, ErrForged},
		{"length of the waiter", flipped(18), "", now, ErrForged},
		{"forged waiter", flipped(20), "", now, ErrForged},
		{"other tunnel", flipped(37), "", now, ErrForged},
		{"other MAC", flipped(len(id)*3/4 - 1), "", now, ErrForged},
		{"session token", k.Session("shop", now.Add(time.Hour)), "", now, ErrForged},
		{"empty", "", "", now, ErrForged},
		{"a seed's ID", "req_1234567890abcdef", "", now, ErrForged},
		{"cut", id[:len(id)-4], "", now, ErrForged},
		{"padded", id + "=", "", now, ErrForged},
		{"line break", id[:8] + "\n" + id[8:], "", now, ErrForged},
		{"too long", id + strings.Repeat("A", MaxText), "", now, ErrForged},
	} {
		got, err := k.Open(c.id, c.sender, c.now)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if errors.Is(err, ErrForged) && got != (Ticket{}) {
			t.Errorf("%s: a forged ID is read: %+v", c.name, got)
		}
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	k := ring(t, key('a'))
	token := k.Session("shop", now.Add(time.Hour))
	for _, c := range []struct {
		name, token string
		now         time.Time
		want        error
	}{
		{"good", token, now, nil},
		{"expired", token, now.Add(time.Hour), ErrExpired},
		{"other key", ring(t, key('b')).Session("shop", now.Add(time.Hour)), now, ErrForged},
		{"request ID", k.Issue(some(nil), ""), now, ErrForged},
		{"empty", "", now, ErrForged},
		{"cut", token[:len(token)-1], now, ErrForged},
	} {
		tunnel, err := k.OpenSession(c.token, c.now)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || (err == nil) != (tunnel == "shop") {
			t.Errorf("%s: %q, %v; want %v", c.name, tunnel, err, c.want)
		}
	}
}

// Were the two kinds ever to look alike, a MAC of one must still be none of the other.
func TestKindsAreApart(t *testing.T) {
	t.Parallel()
	k := ring(t, key('a'))
	body := func(text string) []byte {
		b, err := decode(text)
		if err != nil {
			t.Fatal(err)
		}
		return b[:len(b)-macSize]
	}
	id, token := k.Issue(some(nil), ""), k.Session("shop", now.Add(time.Hour))
	if _, err := k.Open(encode(k.seal(body(id), sessionDomain, "")), "", now); !errors.Is(err, ErrForged) {
		t.Errorf("an ID with a token's MAC: %v", err)
	}
	if _, err := k.OpenSession(encode(k.seal(body(token), ticketDomain, "")), now); !errors.Is(err, ErrForged) {
		t.Errorf("a token with an ID's MAC: %v", err)
	}
}

// While a key is replaced, some processes know only the old one and some both.
func TestRotation(t *testing.T) {
	t.Parallel()
	before, after := ring(t, key('a')), ring(t, key('b'), key('a'))
	if _, err := after.Open(before.Issue(some(nil), ""), "", now); err != nil {
		t.Errorf("the old key's ID after the rotation: %v", err)
	}
	if _, err := before.Open(after.Issue(some(nil), ""), "", now); !errors.Is(err, ErrForged) {
		t.Errorf("the new key's ID before the rotation: %v", err)
	}
	if _, err := after.OpenSession(before.Session("shop", now.Add(1e9)), now); err != nil {
		t.Errorf("the old key's token after the rotation: %v", err)
	}
	if after.Issue(some(nil), "") != ring(t, key('b')).Issue(some(nil), "") {
		t.Error("the first key does not sign")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	if _, err := New(); err == nil {
		t.Error("a keyring without keys")
	}
	if _, err := New(key('a'), []byte("short secret")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a short key: %v", err)
	}
	mine := key('a')
	k := ring(t, mine)
	want := k.Issue(some(nil), "")
	clear(mine)
	if k.Issue(some(nil), "") != want {
		t.Error("the keyring shares its caller's memory")
	}
	if s := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(s, "97") || strings.Contains(s, "aaa") {
		t.Errorf("a log would show the keys: %s", s)
	}
}

func TestIssuePanics(t *testing.T) {
	t.Parallel()
	k := ring(t, key('a'))
	for name, f := range map[string]func(){
		"no tunnel":        func() { k.Issue(some(func(t *Ticket) { t.Tunnel = "" }), "") },
		"long tunnel":      func() { k.Issue(some(func(t *Ticket) { t.Tunnel = strings.Repeat("t", MaxTunnel+1) }), "") },
		"long waiter":      func() { k.Issue(some(func(t *Ticket) { t.Waiter = strings.Repeat("w", MaxWaiter+1) }), "") },
		"bound to nobody":  func() { k.Issue(some(func(t *Ticket) { t.Bound = true }), "") },
		"session of none":  func() { k.Session("", now) },
		"session too long": func() { k.Session(strings.Repeat("t", MaxTunnel+1), now) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: issued", name)
				}
			}()
			f()
		}()
	}
}

// Whatever comes in: what is accepted is what was issued, letter for letter.
func FuzzOpen(f *testing.F) {
	k := ring(f, key('a'), key('b'))
	f.Add(k.Issue(some(nil), ""), "")
	f.Add(k.Issue(some(func(t *Ticket) { t.Bound, t.Stream = true, true }), "conn"), "conn")
	f.Add(ring(f, key('b')).Issue(some(nil), ""), "conn")
	f.Add(k.Session("shop", now.Add(time.Hour)), "")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, id, sender string) {
		got, err := k.Open(id, sender, now)
		if err == nil && k.Issue(got, sender) != id && ring(t, key('b')).Issue(got, sender) != id {
			t.Errorf("%q from %q is accepted as %+v, and was never issued", id, sender, got)
		}
		tunnel, err2 := k.OpenSession(id, now)
		if err2 == nil && (err == nil || tunnel == "") {
			t.Errorf("%q is a token and a request ID", id)
		}
	})
}

// Whatever is issued is read back, and by no other sender if it is bound.
func FuzzIssue(f *testing.F) {
	k := ring(f, key('a'))
	f.Add("shop", "L0SM9cOFvHcCIhw=", "conn", int64(1800000000), true, false)
	f.Add("a", "", "", int64(1<<40), false, true)
	f.Fuzz(func(t *testing.T, tunnel, waiter, sender string, expires int64, bound, stream bool) {
		if tunnel == "" || len(tunnel) > MaxTunnel || len(waiter) > MaxWaiter || bound && sender == "" {
			t.Skip()
		}
		want := Ticket{Bound: bound, Stream: stream, Expires: timeOf(seconds(time.Unix(expires, 0))), Nonce: NewNonce(), Waiter: waiter, Tunnel: tunnel}
		id := k.Issue(want, sender)
		got, err := k.Open(id, sender, want.Expires.Add(-1))
		if diff := cmp.Diff(want, got); err != nil || diff != "" || len(id) > MaxText {
			t.Errorf("%d characters, %v (-want +got):\n%s", len(id), err, diff)
		}
		if _, err := k.Open(id, sender+"x", want.Expires.Add(-1)); bound && !errors.Is(err, ErrForged) {
			t.Errorf("another sender: %v", err)
		}
	})
}
