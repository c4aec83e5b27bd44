package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wall is a desk that writes down what it is told.
type wall struct {
	said []string
	hang bool
	from time.Time
}

func (w *wall) note(ctx context.Context, text string) {
	w.said = append(w.said, fmt.Sprintf("%v %s", time.Since(w.from), text))
	if w.hang {
		<-ctx.Done()
	}
}

func (w *wall) show(ctx context.Context, n Notification) { w.note(ctx, n.Key+"="+n.Title) }
func (w *wall) withdraw(ctx context.Context, key string) { w.note(ctx, "-"+key) }
func (w *wall) close(ctx context.Context)                { w.note(ctx, "closed") }

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wall{from: time.Now()}
		n := start(w)
		synctest.Wait()
		for i := range 100 {
			n.Show(Notification{Key: fmt.Sprint(i % 6), Title: fmt.Sprint(i)})
			synctest.Wait()
		}
		n.Withdraw("0")
		time.Sleep(time.Minute)
		n.Show(Notification{Key: "late", Title: "x"})
		synctest.Wait()
		n.Close()
		// The first ones come at once, then the last of each key that still waits.
		want := []string{
			"0s 0=0", "0s 1=1", "0s 2=2", "0s 3=3", "0s -0",
			"2s 4=94", "4s 5=95", "6s 1=97", "8s 2=98", "10s 3=99", "1m0s late=x", "1m0s closed",
		}
		if !slices.Equal(w.said, want) {
			t.Errorf("got  %q\nwant %q", w.said, want)
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wall{from: time.Now(), hang: true}
		n := start(w)
		for i := range 1000 {
			n.Show(Notification{Key: fmt.Sprint(i), Title: "x"}) // never waits, whatever the desktop does
		}
		n.mu.Lock()
		if len(n.waiting) > maxWaiting || time.Since(w.from) != 0 {
			t.Errorf("%d wait after %v", len(n.waiting), time.Since(w.from))
		}
		n.mu.Unlock()
		time.Sleep(2 * deskLimit) // each is given up after its time
		n.Close()
		if len(w.said) < 2 {
			t.Errorf("%q", w.said)
		}
	})
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wall{from: time.Now()}
		n := start(w)
		n.Show(Notification{Title: strings.Repeat("x", 1000)})
		synctest.Wait()
		n.Close()
		if len(w.said[0]) > maxTitle+20 {
			t.Error(len(w.said[0]))
		}
	})
}

// What visitors and backends send is no layout of a notification.
func TestTextsOfStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &reader{}
		n := start(d)
		n.Show(Notification{
			Key: "k", Title: "First request\nto \u202eevil", Body: "GET /\u202egnp.exe\x1b[31m\n\n<b>\u2028Culvert\ufeff",
			Actions: []Action{{Title: "Open\u061c\r" + strings.Repeat("x", maxTitle)}},
		})
		synctest.Wait()
		n.Close()
		want := "First request to evil|GET /gnp.exe [31m  <b> Culvert|Open " + strings.Repeat("x", maxTitle-5) + "…"
		if got := d.note.Title + "|" + d.note.Body + "|" + d.note.Actions[0].Title; got != want {
			t.Errorf("the desktop got %q, want %q", got, want)
		}
	})
}

// reader is a desk that remembers what it was given last.
type reader struct{ note Notification }

func (r *reader) show(_ context.Context, n Notification) { r.note = n }
func (r *reader) withdraw(context.Context, string)       {}
func (r *reader) close(context.Context)                  {}
