package engine

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"culvert/app/link"
	"culvert/app/plain"
	"culvert/backend/wire"
)

// Bounds of what is shown of a notice, in characters.
const (
	maxNoticeTitle = 200
	maxNoticeText  = 2000
)

// Bounds of what one sender can do: a sender is a backend, for one of its users.
const (
	noticeRate  = 20 // a second, shown
	noticeBurst = 40
	// floodWindow is for how long notices are counted that were left out, before that
	// is told.
	floodWindow = 10 * time.Second
	// knownNotices is how many IDs are remembered, of each of so many senders. Queues
	// deliver again within minutes, and each of a user's tunnels gets a copy at once.
	knownNotices = 4096
	maxSenders   = 64
)

// sender is whose notices are counted together. The same ID of another sender is
// another notice.
type sender struct{ backend, user string }

// senderOf names the backend and the user that a connection belongs to. The token's
// own word is enough for telling users apart.
func senderOf(cfg *link.Config) sender {
	s := sender{backend: strings.ToLower(cfg.Backend.Scheme + "://" + cfg.Backend.Host)}
	s.backend += strings.TrimSuffix(cfg.Backend.Path, "/")
	if cfg.Token == "" {
		s.user = "key:" + cfg.Owner.Public()
		return s
	}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(cfg.Token, &claims); err == nil && claims.Subject != "" {
		s.user = "user:" + claims.Subject
	} else {
		s.user = fmt.Sprintf("token:%x", sha256.Sum256([]byte(cfg.Token)))
	}
	return s
}

// inbox lets each notice through once, by whichever tunnel it comes first.
type inbox struct {
	mu      sync.Mutex
	senders []*letters // the one that was used last is the last
}

// letters are what one sender has sent.
type letters struct {
	sender
	known map[[16]byte]bool
	order [][16]byte // a ring, oldest at next
	next  int
	pace  *rate.Limiter
	lost  int // left out and not told yet
}

// verdict is what becomes of a notice.
type verdict int

const (
	show verdict = iota
	again
	flood      // left out
	floodBegan // left out, the first one in a while
)

func (b *inbox) take(s sender, id string, now time.Time) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.of(s)
	sum := sha256.Sum256([]byte(id))
	key := [16]byte(sum[:16])
	if l.known[key] {
		return again
	}
	l.known[key] = true
	if len(l.order) < knownNotices {
		l.order = append(l.order, key)
	} else {
		delete(l.known, l.order[l.next])
		l.order[l.next] = key
		l.next = (l.next + 1) % knownNotices
	}
	switch {
	case l.pace.AllowN(now, 1):
		return show
	case l.lost == 0:
		l.lost = 1
		return floodBegan
	}
	l.lost++
	return flood
}

// of finds or makes a sender's letters. It needs mu.
func (b *inbox) of(s sender) *letters {
	i := slices.IndexFunc(b.senders, func(l *letters) bool { return l.sender == s })
	var l *letters
	if i >= 0 {
		l = b.senders[i]
		b.senders = slices.Delete(b.senders, i, i+1)
	} else {
		l = &letters{sender: s, known: map[[16]byte]bool{}, pace: rate.NewLimiter(noticeRate, noticeBurst)}
		if len(b.senders) >= maxSenders {
			b.senders = slices.Delete(b.senders, 0, 1)
		}
	}
	b.senders = append(b.senders, l)
	return l
}

// lost is how many were left out since the last time.
func (b *inbox) lost(s sender) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.of(s)
	n := l.lost
	l.lost = 0
	return n
}

// received is told of every notice that comes by one of the tunnel's connections.
func (t *Tunnel) received(from sender, n *wire.Notice) {
	e := t.engine
	now := time.Now()
	switch e.inbox.take(from, n.ID, now) {
	case show:
		t.emit(noticeReceived(t, n, now))
	case floodBegan:
		t.floods.Go(func() { t.tellFlood(from) })
	}
}

// tellFlood says once how many notices were left out within a while.
func (t *Tunnel) tellFlood(from sender) {
	inbox := &t.engine.inbox
	timer := time.NewTimer(floodWindow)
	defer timer.Stop()
	select {
	case <-timer.C:
		t.emit(Notice{t, fmt.Sprintf("%d notices were left out: %s sends more than %d a second", inbox.lost(from), from.backend, noticeRate)})
	case <-t.ctx.Done():
		inbox.lost(from) // the next flood is another one
	}
}

// noticeReceived makes a notice fit to be shown.
func noticeReceived(t *Tunnel, n *wire.Notice, now time.Time) NoticeReceived {
	e := NoticeReceived{Tunnel: t, ID: plain.Line(n.ID), At: now, Data: n.Data}
	if at := time.UnixMilli(n.Time); n.Time > 0 && at.Before(now) {
		e.At = at
	}
	title, text := noticeTexts(n.Data)
	e.Title = plain.Cut(strings.TrimSpace(plain.Line(title)), maxNoticeTitle)
	e.Text = plain.Cut(strings.TrimSpace(lines(text)), maxNoticeText)
	switch {
	case e.Text != "":
	case e.Title != "": // all that there is
		e.Title, e.Text = "", e.Title
	default:
		e.Text = plain.Cut(plain.Line(string(n.Data)), maxNoticeText)
	}
	return e
}

// noticeTexts finds what is for people in data: it is text, or an object that has some,
// or else they see the data itself.
func noticeTexts(data json.RawMessage) (title, text string) {
	if json.Unmarshal(data, &text) == nil {
		return "", text
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return "", ""
	}
	word := func(name string) (s string) {
		_ = json.Unmarshal(object[name], &s) // no text is none
		return s
	}
	for _, name := range []string{"message", "text", "body"} {
		if text = word(name); text != "" {
			break
		}
	}
	return word("title"), text
}

// lines cleans a text of several lines.
func lines(text string) string {
	all := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range all {
		all[i] = strings.TrimRight(plain.Line(line), " ")
	}
	return strings.Join(all, "\n")
}
