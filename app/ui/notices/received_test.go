package notices

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/config"
	"culvert/app/notify"
	"culvert/app/ui/model"

	"github.com/google/go-cmp/cmp"
)

// clicked is a screen that keeps what was shown last.
type clicked struct {
	screen
	last notify.Notification
}

func (c *clicked) Show(n notify.Notification) { c.screen.Show(n); c.last = n }

func sent(id string) model.Received {
	return model.Received{ID: id, Tunnel: "shop", Title: "Order " + id, Text: "came in"}
}

func TestNoticesAreTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(*Policy)
		want []string
	}{
		"one":             {func(p *Policy) { p.Received(sent("1")) }, []string{"Order 1 | came in"}},
		"without a title": {func(p *Policy) { p.Received(model.Received{ID: "1", Text: "done"}) }, []string{"Notice | done"}},
		"a burst": {func(p *Policy) {
			for i := range 30 {
				p.Received(sent(fmt.Sprint(i)))
			}
			time.Sleep(gatherLeast)
		}, []string{"Order 0 | came in", "30 notices | Order 29: came in"}},
		"a burst that goes on": {func(p *Policy) {
			for i := range 100 { // for a minute and some seconds
				p.Received(sent(fmt.Sprint(i)))
				time.Sleep(710 * time.Millisecond)
			}
			time.Sleep(2 * gatherMost)
		}, []string{"Order 0 | came in", "3 notices | Order 2: came in", "9 notices | Order 8: came in", "20 notices | Order 19: came in",
			"43 notices | Order 42: came in", "88 notices | Order 87: came in", "100 notices | Order 99: came in"}},
		"one after the other": {func(p *Policy) {
			p.Received(sent("1"))
			time.Sleep(time.Hour)
			p.Received(sent("2"))
		}, []string{"Order 1 | came in", "2 notices | Order 2: came in"}},
		"seen between": {func(p *Policy) {
			p.Received(sent("1"))
			time.Sleep(time.Hour)
			p.Seen()
			p.Received(sent("2"))
		}, []string{"Order 1 | came in", "withdraw notices", "Order 2 | came in"}},
		"the window was looked at between": {func(p *Policy) {
			p.Received(sent("1"))
			time.Sleep(time.Hour)
			p.SetLooking(true)
			p.SetLooking(false)
			p.Received(sent("2"))
		}, []string{"Order 1 | came in", "Order 2 | came in"}},
		"seen while they gather": {func(p *Policy) {
			p.Received(sent("1"))
			p.Received(sent("2"))
			p.Seen()
			time.Sleep(time.Hour)
		}, []string{"Order 1 | came in", "withdraw notices"}},
		"not wanted": {func(p *Policy) {
			n := config.Default().Notices
			n.Messages = false
			p.Set(n)
			p.Received(sent("1"))
			p.Received(sent("2"))
			time.Sleep(time.Hour)
		}, nil},
		"closed": {func(p *Policy) {
			p.Received(sent("1"))
			p.Received(sent("2"))
			p.Close()
			p.Received(sent("3"))
			time.Sleep(time.Hour)
		}, []string{"Order 1 | came in"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s screen
				p := New(&s, func() {}, func(string) {})
				defer p.Close()
				tt.do(p)
				synctest.Wait()
				if diff := cmp.Diff(tt.want, s.took()); diff != "" {
					t.Errorf("the desktop shows (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A click leads to the notice, of several to the newest.
func TestClickLeadsToTheNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s clicked
		var at []string
		p := New(&s, func() { t.Error("it leads to the window alone") }, func(id string) { at = append(at, id) })
		defer p.Close()
		p.Received(sent("1"))
		s.last.OnClick()
		p.Received(sent("2"))
		p.Received(sent("3"))
		time.Sleep(gatherLeast)
		synctest.Wait()
		s.last.OnClick()
		if got := strings.Join(at, " "); got != "1 3" {
			t.Errorf("the clicks lead to %q", got)
		}
	})
}

func TestNoticesOfManyTunnelsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s screen
		p := New(&s, func() {}, func(string) {})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				p.Received(sent(fmt.Sprint(i)))
				p.SetLooking(i%2 == 0)
				p.Seen()
			})
		}
		wg.Wait()
		p.Close()
		if len(s.took()) == 0 {
			t.Error("nothing was shown")
		}
	})
}
