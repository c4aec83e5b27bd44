package inspector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/app/exchange"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
)

func streaming(t *testing.T, live *flowing) (*Inspector, *messages) {
	t.Helper()
	i := newWide(t, nil)
	i.Inspect(socket(), live)
	i.turn(messagesTab)
	return i, i.stream()
}

func TestStreamsHaveMessagesAndNoBody(t *testing.T) {
	i, m := streaming(t, &flowing{messages: frames(5)})
	if got := fmt.Sprint(i.head.tabs.Labels()); got != "[Overview Messages Headers Timing]" {
		t.Errorf("a WebSocket has the tabs %s", got)
	}
	wantText(t, m.list, "14:02:11.207  ↑ {\"type\":\"update\"", "14:02:11.907  ↓ {\"type\":\"update\"", "ping", "89 B")
	wantNoText(t, m.list, "abcdef0123456789")
	if got := m.title.Text(); got != "5 messages · open for 3 min" {
		t.Errorf("above the list: %q", got)
	}
	i.Inspect(webhook(), nil)
	if i.tab != overviewTab || len(i.head.all) != 4 {
		t.Errorf("a plain exchange shows tab %v of %v", i.tab, i.head.tabs.Labels())
	}
}

func TestListFollowsUntilScrolledAway(t *testing.T) {
	live := &flowing{messages: frames(40)}
	i, m := streaming(t, live)
	if !m.list.atEnd() || m.newest.Visible() {
		t.Fatal("a list does not begin at its end")
	}
	live.messages = append(live.messages, frames(3)...)
	i.Sync()
	if !m.list.atEnd() || m.log.len() != 43 {
		t.Errorf("with new messages the list of %d left its end", m.log.len())
	}
	m.list.by(-10, 0)
	top := m.list.scroll.Offset.Y
	live.messages = append(live.messages, frames(2)...)
	i.Sync()
	if m.list.scroll.Offset.Y != top || !m.newest.Visible() || m.newest.Text() != "2 new ↓" {
		t.Errorf("scrolled away, the list moved from %v to %v; the button says %q", top, m.list.scroll.Offset.Y, m.newest.Text())
	}
	test.Tap(m.newest)
	if !m.list.atEnd() || m.newest.Visible() {
		t.Error("the button does not lead back to the end")
	}
}

func TestListIsBounded(t *testing.T) {
	live := &flowing{messages: frames(990)}
	i, m := streaming(t, live)
	m.list.pick(400)
	live.messages = append(live.messages, frames(100)...)
	i.Sync()
	if m.log.len() != maxMessages || m.log.gone != 90 || m.chosen != 400 || m.list.chosen != 310 {
		t.Errorf("%d messages, %d gone; chosen number %d in row %d", m.log.len(), m.log.gone, m.chosen, m.list.chosen)
	}
	// The stream itself kept less than it had while nobody looked.
	live.gone, live.messages = 5000, frames(10)
	i.Sync()
	if m.log.len() != 10 || m.log.end() != 5010 || m.list.chosen != -1 {
		t.Errorf("after a gap: %d messages up to %d, row %d", m.log.len(), m.log.end(), m.list.chosen)
	}
	if got := m.title.Text(); !strings.HasPrefix(got, "5,010 messages · the first 5,000 were not kept") {
		t.Errorf("above the list: %q", got)
	}
}

func TestChosenMessageIsLaidOut(t *testing.T) {
	live := &flowing{messages: frames(9)}
	i, m := streaming(t, live)
	if m.detail.Visible() {
		t.Error("a message is shown although none was chosen")
	}
	test.TapAt(m.list.sheet, fyne.NewPos(200, topPad+lineHeight/2))
	if !m.detail.Visible() || m.detail.title.Text() != "From the visitor · 14:02:11.207 · 89 B" {
		t.Errorf("above the message: %q (visible: %v)", m.detail.title.Text(), m.detail.Visible())
	}
	wantText(t, m.detail.pane, `"type": "update",`, `"token": "REDACTED"`)
	m.list.sheet.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	wantText(t, m.list, "binary  00 01 02 03 fe ff")
	m.list.sheet.TypedKey(&fyne.KeyEvent{Name: fyne.KeyUp})
	if m.chosen != 7 {
		t.Fatalf("End and Up choose %d", m.chosen)
	}
	wantText(t, m.detail.pane, "00 01 02 03 fe ff")
	m.list.pick(0)
	i.reveal("")
	wantText(t, m.detail.pane, `"token": "abcdef0123456789"`)
	if got := m.log.at(0); !strings.Contains(m.log.previews[0], "abcdef0123456789") {
		t.Errorf("in the list, the secret is still masked: %q", got.text())
	}
}

func TestEndedStreamStaysAsItWas(t *testing.T) {
	live := &flowing{messages: frames(60)}
	i, m := streaming(t, live)
	m.list.by(-30, 0)
	m.list.pick(20)
	top := m.list.scroll.Offset.Y
	ended := socket()
	ended.Open, ended.Messages, ended.Duration = false, frames(61), time.Minute
	i.Inspect(ended, nil)
	if i.tab != messagesTab || m.chosen != 20 || m.list.scroll.Offset.Y != top || m.log.len() != 61 {
		t.Errorf("at the end of the stream: tab %v, chosen %d, offset %v (was %v), %d messages", i.tab, m.chosen, m.list.scroll.Offset.Y, top, m.log.len())
	}
	if got := m.title.Text(); got != "61 messages" {
		t.Errorf("above the list: %q", got)
	}
}

func TestTheTabIsComeBackTo(t *testing.T) {
	i := newWide(t, nil)
	i.Inspect(webhook(), nil)
	i.turn(bodyTab)
	for _, step := range []struct {
		x    *exchange.Exchange
		want tab
	}{{socket(), overviewTab}, {picture(), bodyTab}, {socket(), overviewTab}, {webhook(), bodyTab}} {
		if i.Inspect(step.x, nil); i.tab != step.want || i.head.all[i.head.tabs.Selected()] != step.want || !i.pages[step.want].inner().Visible() {
			t.Errorf("%s: tab %v, want %v", step.x.Path, i.tab, step.want)
		}
	}
}

func TestAnotherStreamHasItsOwnMessages(t *testing.T) {
	i, m := streaming(t, &flowing{messages: frames(40)})
	m.list.pick(3)
	i.Inspect(webhook(), nil)
	other := socket()
	other.ID = "other"
	i.Inspect(other, &flowing{messages: frames(2)})
	i.turn(messagesTab)
	if m.log.len() != 2 || m.chosen != -1 || m.detail.Visible() {
		t.Errorf("the second stream shows %d messages, number %d is chosen", m.log.len(), m.chosen)
	}
	i.turn(overviewTab)
	m.list.pick(1)
	i.turn(messagesTab)
	if m.chosen != 1 {
		t.Error("back in the same stream, what was chosen is not any more")
	}
}

func TestNarrowListStandsAboveItsMessage(t *testing.T) {
	i, _ := newInspector(t, narrowSize, theme.VariantDark, nil)
	i.turn(messagesTab)
	i.Inspect(socket(), &flowing{messages: frames(40)})
	i.turn(messagesTab)
	m := i.stream()
	m.list.pick(39)
	if m.list.Size().Width != 447 || m.detail.Position().Y < m.list.Position().Y+m.list.Size().Height || m.detail.Size().Height < 100 {
		t.Errorf("list %v at %v, message %v at %v", m.list.Size(), m.list.Position(), m.detail.Size(), m.detail.Position())
	}
	if y := float32(39)*lineHeight + topPad; y < m.list.scroll.Offset.Y || y+lineHeight > m.list.scroll.Offset.Y+m.list.scroll.Size().Height {
		t.Error("the chosen message is out of sight")
	}
}

func TestPreviews(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m    exchange.StreamMessage
		want string
	}{
		"lines":  {exchange.StreamMessage{Data: []byte("a\n\n  b\tc")}, "a b c"},
		"empty":  {exchange.StreamMessage{}, " "},
		"close":  {exchange.StreamMessage{Kind: exchange.Close, Data: []byte("\x03\xe8bye")}, "1000 bye"},
		"closed": {exchange.StreamMessage{Kind: exchange.Close}, " "},
		"binary": {exchange.StreamMessage{Kind: exchange.Binary, Data: []byte{0xca, 0xfe}}, "ca fe"},
		"broken": {exchange.StreamMessage{Data: []byte{0xff, 'a'}}, "ff 61"},
		"secret": {exchange.StreamMessage{Kind: exchange.Event, Data: []byte(`{"password":"hunter2222"}`)}, `{"password":"REDACTED"}`},
		"cut":    {exchange.StreamMessage{Data: []byte(strings.Repeat("a", previewBytes-1) + "é")}, strings.Repeat("a", previewBytes-1)},
	} {
		if got := preview(&c.m, true); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
