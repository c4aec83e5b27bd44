package notices

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/config"
	"culvert/app/notify"
	"culvert/app/ui/model"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// screen is what a desktop shows.
type screen struct{ log []string }

func (s *screen) Show(n notify.Notification) { s.log = append(s.log, n.Title+" | "+n.Body) }
func (s *screen) Withdraw(key string) {
	if !strings.HasPrefix(key, "request") {
		s.log = append(s.log, "withdraw "+key)
	}
}

func (s *screen) took() []string {
	log := s.log
	s.log = nil
	return log
}

func tunnel(key string, state model.State) model.Tunnel {
	t := model.Tunnel{Key: key, Name: "t" + key, State: state, URL: "https://t" + key + ".example"}
	if state == model.Reconnecting || state == model.Refused {
		t.Cause = "connection refused"
	}
	return t
}

func TestLinks(t *testing.T) {
	t.Parallel()
	const (
		refused = model.Refused
		online  = model.Online
		off     = model.Reconnecting
		stopped = model.Stopped
	)
	lost := "t1 lost its backend | Connection refused. Culvert tries again by itself."
	type step struct {
		key   string // "" waits for longer than the patience
		state model.State
	}
	for name, tt := range map[string]struct {
		steps  []step
		wanted func(*config.Notices)
		want   []string
	}{
		"a short interruption is no news": {steps: []step{{"1", online}, {"1", off}, {"1", online}, {}}},
		"never online is no loss":         {steps: []step{{"1", off}, {}, {"1", online}, {}}},
		"lost and back":                   {steps: []step{{"1", online}, {"1", off}, {}, {"1", off}, {}, {"1", online}}, want: []string{lost, "t1 is online again | https://t1.example"}},
		"twice":                           {steps: []step{{"1", online}, {"1", off}, {}, {"1", online}, {"1", off}, {}}, want: []string{lost, "t1 is online again | https://t1.example", lost}},
		"several at once": {steps: []step{{"1", online}, {"2", online}, {"1", off}, {"2", off}, {}, {"1", online}, {"2", online}},
			want: []string{"2 tunnels lost their backend | Connection refused.", "2 tunnels are online again | "}},
		"one of them stopped meanwhile": {steps: []step{{"1", online}, {"2", online}, {"1", off}, {"2", off}, {}, {"2", stopped}, {"1", online}},
			want: []string{"2 tunnels lost their backend | Connection refused.", "t1 is online again | https://t1.example"}},
		"stopped while lost":      {steps: []step{{"1", online}, {"1", off}, {}, {"1", stopped}}, want: []string{lost, "withdraw links"}},
		"stopped before it tells": {steps: []step{{"1", online}, {"1", off}, {"1", stopped}, {}}},
		"refused at once":         {steps: []step{{"1", online}, {"1", refused}}, want: []string{"t1 was refused | Connection refused."}},
		"refused from the start":  {steps: []step{{"1", refused}, {}}},
		"losses not wanted": {steps: []step{{"1", online}, {"1", off}, {}, {"1", online}}, wanted: func(n *config.Notices) { n.Lost = false },
			want: []string{"t1 is online again | https://t1.example"}},
		"returns not wanted": {steps: []step{{"1", online}, {"1", off}, {}, {"1", online}}, wanted: func(n *config.Notices) { n.Restored = false },
			want: []string{lost, "withdraw links"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s screen
				p := New(&s, func() {}, func(string) {})
				defer p.Close()
				if tt.wanted != nil {
					n := config.Default().Notices
					tt.wanted(&n)
					p.Set(n)
				}
				for _, st := range tt.steps {
					if st.key == "" {
						time.Sleep(patience + time.Second)
						synctest.Wait()
						continue
					}
					p.Status(tunnel(st.key, st.state))
				}
				if diff := cmp.Diff(tt.want, s.took()); diff != "" {
					t.Errorf("the desktop shows (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRemovedWhileLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s screen
		p := New(&s, func() {}, func(string) {})
		defer p.Close()
		p.Status(tunnel("1", model.Online))
		p.Status(tunnel("1", model.Reconnecting))
		time.Sleep(patience + time.Second)
		synctest.Wait()
		p.Removed("1")
		if got := s.took(); len(got) != 2 || got[1] != "withdraw links" {
			t.Errorf("the desktop shows %q", got)
		}
	})
}

func TestFirstRequest(t *testing.T) {
	t.Parallel()
	var s screen
	p := New(&s, func() {}, func(string) {})
	defer p.Close()
	for _, key := range []string{"1", "2", "3"} {
		p.Status(tunnel(key, model.Online))
	}
	visit := func(key string) {
		p.Request(key, "t"+key, &model.Request{Method: "GET", Path: "/" + strings.Repeat("x", 200), Status: 200})
	}
	p.Request("1", "t1", &model.Request{ReplayOf: "a", Status: 200}) // nobody came
	visit("1")
	visit("1")
	if got := s.took(); len(got) != 1 || !strings.HasPrefix(got[0], "First request to t1 | GET /xxx") || !strings.HasSuffix(got[0], "… · 200 ✓") {
		t.Errorf("the desktop shows %q", got)
	}
	p.SetLooking(true)
	visit("2")
	p.SetLooking(false)
	p.Set(config.Notices{})
	visit("3")
	visit("gone")
	if got := s.took(); len(got) > 0 {
		t.Errorf("the desktop shows %q", got)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	var s screen
	p := New(&s, func() {}, func(string) {})
	defer p.Close()
	for i := range 2 * maxMessages {
		p.Message("t1", fmt.Sprint("text ", i))
	}
	p.Message("t2", "hello")
	got := s.took()
	if len(got) != maxMessages+1 || !slices.Contains(got, "t2 | hello") {
		t.Errorf("%d messages were told, want %d", len(got), maxMessages+1)
	}
}
