// Package notices decides what a person is told by desktop notifications while no
// one looks at the window: that tunnels lost their backend and have it again, the
// first visitor of a tunnel, what backends have to say, and what somebody has sent. Short interruptions are
// not worth a word, and what happens to many tunnels at once is told once.
package notices

import (
	"slices"
	"sync"
	"time"

	"culvert/app/config"
	"culvert/app/notify"
	"culvert/app/plain"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// patience is how long a tunnel may be without its backend before that is told: links
// are replaced and networks change without anybody having to do something.
const patience = 5 * time.Second

// maxMessages bounds the different messages of one backend that are told; they are in
// the window, too.
const maxMessages = 20

// maxPath bounds what is told of a visitor's path, in runes.
const maxPath = 80

// Notifier shows notifications, as *notify.Notifier does.
type Notifier interface {
	Show(notify.Notification)
	Withdraw(key string)
}

// Keys of notifications: a new one replaces the old one with the same key.
const (
	linksKey   = "links"
	requestKey = "request " // and the tunnel's key
	messageKey = "message " // and the tunnel's name
	noticeKey  = "notices"  // what was sent to the user
)

// Policy is told what happens, in the order of events and by any goroutine, and never
// makes it wait. Close must be called in the end.
type Policy struct {
	notifier Notifier
	onClick  func()
	onNotice func(id string)

	mu      sync.Mutex
	wanted  config.Notices
	looking bool
	closed  bool
	tunnels map[string]*watched
	told    bool // that tunnels were lost is on the screen, or was
	timer   *time.Timer
	said    map[string]int // messages told, by the tunnels' names
	burst   burst
}

// watched is one tunnel.
type watched struct {
	name    string
	url     string
	online  bool      // it was, and nobody has stopped it since
	lost    time.Time // when it lost its backend; zero while it has it
	told    bool      // and that was told
	refused bool
	cause   string
	visited bool
}

// New returns a policy that wants everything. onClick, called by any goroutine, brings
// the window to the front, and onNotice does so at a notice.
func New(n Notifier, onClick func(), onNotice func(id string)) *Policy {
	return &Policy{
		notifier: n, onClick: onClick, onNotice: onNotice, tunnels: map[string]*watched{}, said: map[string]int{},
		wanted: config.Default().Notices,
	}
}

// Set says which kinds are wanted.
func (p *Policy) Set(wanted config.Notices) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = wanted
}

// SetLooking says whether the window is in front: what appears in it then needs no
// notification, unless it is bad news.
func (p *Policy) SetLooking(looking bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looking = looking
	if looking {
		p.burst.unseen = 0 // the window counts them from now on
	}
}

// Close ends what the policy waits for.
func (p *Policy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.burst.stop()
}

// Status is where a tunnel stands now.
func (p *Policy) Status(t model.Tunnel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.tunnels[t.Key]
	if w == nil {
		w = &watched{}
		p.tunnels[t.Key] = w
	}
	w.name = t.Name
	switch t.State {
	case model.Online:
		w.online, w.refused, w.url, w.lost, w.cause = true, false, t.URL, time.Time{}, ""
		p.restored()
	case model.Reconnecting:
		w.cause = t.Cause
		if w.online && w.lost.IsZero() {
			w.lost = time.Now()
			p.await(patience)
		}
	case model.Refused:
		w.cause, w.refused = t.Cause, true
		if w.online {
			w.lost = time.Now().Add(-patience) // it will not come back by itself
			p.lost()
		}
		w.online = false
	case model.Stopped:
		w.online, w.told, w.lost = false, false, time.Time{}
		p.restored()
	}
}

// Removed is a tunnel's end.
func (p *Policy) Removed(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tunnels[key] == nil {
		return
	}
	delete(p.tunnels, key)
	p.notifier.Withdraw(requestKey + key)
	p.restored()
}

// Request is one that came through a tunnel.
func (p *Policy) Request(key, name string, r *model.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.tunnels[key]
	if w == nil || w.visited || r.ReplayOf != "" {
		return
	}
	w.visited = true
	if !p.wanted.FirstRequest || p.looking || p.closed {
		return
	}
	p.show(requestKey+key, words.T("First request to %s", name), r.Method+" "+plain.Cut(r.Path, maxPath)+" · "+r.StatusText())
}

// Message is what a backend has to say.
func (p *Policy) Message(name, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said[name]++
	if p.wanted.Messages && !p.closed && p.said[name] <= maxMessages {
		p.show(messageKey+name, name, text)
	}
}

// await looks again after a while.
func (p *Policy) await(d time.Duration) {
	if p.closed {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lost()
	})
}

// lost tells which tunnels have been without their backend for too long, if that is
// more than was told.
func (p *Policy) lost() {
	if p.closed {
		return
	}
	var gone []*watched
	fresh := false
	next := time.Duration(0)
	for _, w := range p.tunnels {
		if w.lost.IsZero() {
			continue
		}
		if left := patience - time.Since(w.lost); left > 0 {
			next = max(next, left)
			continue
		}
		gone = append(gone, w)
		fresh = fresh || !w.told
		w.told = true
	}
	if next > 0 {
		p.await(next)
	}
	if !fresh {
		return
	}
	p.told = true
	if !p.wanted.Lost {
		return
	}
	slices.SortFunc(gone, func(a, b *watched) int { return a.lost.Compare(b.lost) })
	last := gone[len(gone)-1]
	switch {
	case len(gone) > 1:
		p.show(linksKey, words.T("%d tunnels lost their backend", len(gone)), model.Sentence(last.cause))
	case last.refused:
		p.show(linksKey, words.T("%s was refused", last.name), model.Sentence(last.cause))
	default:
		p.show(linksKey, words.T("%s lost its backend", last.name),
			model.Sentence(last.cause)+" "+words.T("Culvert tries again by itself."))
	}
}

// restored tells that all tunnels which were said to be lost are back, or takes the
// notification away if none of them is needed any more.
func (p *Policy) restored() {
	if !p.told || p.closed {
		return
	}
	var back []*watched
	for _, w := range p.tunnels {
		if w.told && !w.lost.IsZero() {
			return // one is missing still
		}
		if w.told {
			back = append(back, w)
		}
	}
	p.told = false
	for _, w := range back {
		w.told = false
	}
	switch {
	case len(back) == 0 || !p.wanted.Restored:
		p.notifier.Withdraw(linksKey)
	case len(back) == 1:
		p.show(linksKey, words.T("%s is online again", back[0].name), back[0].url)
	default:
		p.show(linksKey, words.T("%d tunnels are online again", len(back)), "")
	}
}

func (p *Policy) show(key, title, body string) {
	p.notifier.Show(notify.Notification{Key: key, Title: title, Body: body, OnClick: p.onClick})
}
