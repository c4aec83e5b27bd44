package notices

import (
	"cmp"
	"time"

	"culvert/app/notify"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// A notice is told at once. Those that come soon after it are told together, and the
// more of them come, the longer that takes: between gatherLeast and gatherMost.
const (
	gatherLeast = 2 * time.Second
	gatherMost  = time.Minute
)

// burst is the notices that somebody has sent, and that nobody has seen yet. What is on
// the screen is about all of them.
type burst struct {
	unseen int
	newest model.Received
	gather time.Duration // how long to wait now; 0 while the next is told at once
	timer  *time.Timer
	waits  bool // newest has not been told
}

func (b *burst) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// Received is a notice that somebody has sent to the user.
func (p *Policy) Received(n model.Received) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.burst.unseen++
	p.burst.newest = n
	if p.burst.gather > 0 {
		p.burst.waits = true
		return
	}
	p.burst.gather = gatherLeast
	p.tell()
}

// Seen says that the notices have been looked at, or are gone.
func (p *Policy) Seen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.burst.unseen, p.burst.waits = 0, false
	p.notifier.Withdraw(noticeKey)
}

// tell shows what there is, and gathers what comes next.
func (p *Policy) tell() {
	b := &p.burst
	b.waits = false
	b.stop()
	b.timer = time.AfterFunc(b.gather, p.gathered)
	if !p.wanted.Messages || b.unseen == 0 {
		return
	}
	n := b.newest
	title, body := n.Title, n.Text
	switch {
	case b.unseen > 1:
		title, body = words.T("%d notices", b.unseen), cmp.Or(join(n.Title, n.Text), n.Tunnel)
	case title == "":
		title = words.T("Notice")
	}
	id := n.ID
	p.notifier.Show(notify.Notification{Key: noticeKey, Title: title, Body: body, OnClick: func() { p.onNotice(id) }})
}

// gathered tells of those that came meanwhile, if there are any.
func (p *Policy) gathered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.burst.waits:
		p.burst.gather = min(2*p.burst.gather, gatherMost)
		p.tell()
	default:
		p.burst.gather = 0 // it is quiet: the next is told at once
	}
}

func join(title, text string) string {
	if title == "" || text == "" {
		return title + text
	}
	return title + ": " + text
}
