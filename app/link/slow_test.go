package link

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/wire"
)

// slowAnswer is one of three parts of which so many have left.
func slowAnswer(id string, sent int) *answer {
	a := newAnswer(id, "t1", []any{
		&wire.HTTPResponse{RequestID: id, StatusCode: 200, More: true, BodySize: 3, Body: []byte("a")},
		&wire.Chunk{RequestID: id, Seq: 1, Body: []byte("b")},
		&wire.Chunk{RequestID: id, Seq: 2, Body: []byte("c"), Last: true},
	})
	a.sent.Store(int64(sent))
	return a
}

// A backend that asks for what is still on its way over a slow line must not make it
// slower: what has not left is not sent twice, and what was cancelled not at all.
func TestResendsOnASlowLine(t *testing.T) {
	t.Parallel()
	for sent := range 4 {
		bubble(t, 1, func(t *testing.T, g *gateway) {
			cfg := g.config(&Config{})
			g.link(cfg)
			synctest.Wait()
			a := g.unsent("GET", "/", nil)
			cfg.board.seen.first(a.id)
			kept := slowAnswer(a.id, sent)
			cfg.board.keep(kept)
			ask := map[string]any{"type": "resend", "request_id": a.id, "from": 0}
			g.postNow(ask)
			synctest.Wait()
			if n := g.state(a).resent; n != sent {
				t.Errorf("%d parts came again, %d had left", n, sent)
			}
			g.postNow(map[string]any{"type": "cancel", "request_id": a.id})
			g.postNow(ask)
			pass(time.Second)
			if n := g.state(a).resent; n != sent {
				t.Errorf("%d parts came again after all was cancelled", n-sent)
			}
		})
	}
}

// Parts of one answer are sent again once at a time, however often they are asked for.
func TestOneResendAtATime(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		cfg := g.config(&Config{})
		l, _ := g.link(cfg)
		synctest.Wait()
		a := g.unsent("GET", "/", nil)
		cfg.board.seen.first(a.id)
		cfg.board.keep(slowAnswer(a.id, 3))
		f := l.carrier.(*form1)
		from := 0
		f.write.Lock() // the line takes nothing
		for range 5 {
			cfg.board.resend(f, &wire.Resend{RequestID: a.id, From: &from})
		}
		f.write.Unlock()
		synctest.Wait()
		if n := g.state(a).resent; n != 3 {
			t.Errorf("%d parts came again, want 3", n)
		}
		cfg.board.resend(f, &wire.Resend{RequestID: a.id, From: &from})
		synctest.Wait()
		if n := g.state(a).resent; n != 6 {
			t.Errorf("%d parts came again in all, want 6", n)
		}
	})
}
