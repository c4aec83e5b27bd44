package wsapi

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/backend/awslocal/chaos"
)

func TestMessagesAreLost(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, _ := x.dial()
	x.chaos.Force(chaos.MessageLost, 1)
	send(t, ws, "lost")
	send(t, ws, "arrives")
	if got := x.next("MESSAGE").Body; got != "arrives" {
		t.Errorf("%q arrived", got)
	}
	x.noInvocation()
	if got := x.awaitUsage(MessageIn, 2); len(got) != 2 || got[0].Problem != "lost" {
		t.Errorf("counted %+v: a lost message is billed too", got)
	}
}

func TestMessagesAreThrottled(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	x.chaos.Force(chaos.MessageThrottled, 1)
	send(t, ws, "lost")
	if got := parseInjected(t, read(t, ws)); got.Message != "Internal server error" || got.ConnectionID != i.id() {
		t.Errorf("told %+v", got)
	}
	x.noInvocation()
}

func TestMessagesAreDuplicated(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, _ := x.dial()
	x.chaos.Force(chaos.MessageDuplicated, 1)
	send(t, ws, "twice")
	one, two := x.next("MESSAGE"), x.next("MESSAGE")
	if one.Body != "twice" || string(one.raw) != string(two.raw) {
		t.Errorf("got %s and %s", one.raw, two.raw)
	}
	send(t, ws, "once")
	if got := x.next("MESSAGE").Body; got != "once" {
		t.Errorf("got %q", got)
	}
	if got := x.awaitUsage(MessageIn, 2); len(got) != 2 {
		t.Errorf("%d messages billed, want 2", len(got))
	}
}

func TestMessagesComeInAnyOrder(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	x.chaos.Set(chaos.MessageHeld, chaos.Setting{Probability: 0.5, Delay: 50 * time.Millisecond})
	ws, _ := x.dial()
	var sent, got []string
	for i := range 50 {
		sent = append(sent, fmt.Sprintf("%02d", i))
		send(t, ws, sent[i])
	}
	for range sent {
		got = append(got, x.next("MESSAGE").Body)
	}
	if slices.IsSorted(got) {
		t.Error("50 messages came in order")
	}
	slices.Sort(got)
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Error(diff)
	}
}

// A message may be held back for as long as it likes: others overtake it.
func TestMessageIsHeld(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	x.chaos.Set(chaos.MessageHeld, chaos.Setting{Delay: 1000 * time.Hour})
	x.chaos.Force(chaos.MessageHeld, 1)
	ws, _ := x.dial()
	for _, text := range []string{"held", "one", "two"} {
		send(t, ws, text)
	}
	for range 2 {
		if got := x.next("MESSAGE").Body; got == "held" {
			t.Error("the message was not held back")
		}
	}
	x.Close()
	x.noInvocation()
}

// A new connection may be unknown to posts until a moment after its first message.
func TestGoneAtFirst(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	x.chaos.Force(chaos.GoneAtFirst, 1)
	ws, i := x.dial()
	wantKind(t, x.post(i.id(), "x"), "GoneException", 410)
	send(t, ws, "first")
	x.next("MESSAGE")
	x.mustPost(i.id(), "there")
	if got := read(t, ws); got != "there" {
		t.Errorf("got %q", got)
	}

	x.chaos.Force(chaos.GoneAtFirst, 1)
	x.chaos.Set(chaos.GoneAtFirst, chaos.Setting{Delay: time.Hour})
	ws, i = x.dial()
	send(t, ws, "first")
	x.next("MESSAGE")
	wantKind(t, x.post(i.id(), "x"), "GoneException", 410)
	x.mustBeOpen(i.id())
}

func TestPostsAreAcceptedAndLost(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	x.chaos.Force(chaos.PostLost, 1)
	x.mustPost(i.id(), "lost")
	x.mustPost(i.id(), "arrives")
	if got := read(t, ws); got != "arrives" {
		t.Errorf("got %q", got)
	}
}

func TestPostsAreLimited(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	x.chaos.Force(chaos.PostLimited, 1)
	wantKind(t, x.post(i.id(), "x"), "LimitExceededException", 429)
	x.mustPost(i.id(), "arrives")
	if got := read(t, ws); got != "arrives" {
		t.Errorf("got %q", got)
	}
}

func TestSocketIsKilledByAPost(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	x.chaos.Force(chaos.SocketKilled, 1)
	x.mustPost(i.id(), "lost")
	if code, _ := closed(t, ws); code != -1 {
		t.Errorf("closed with %d, want a cut", code)
	}
	x.next("DISCONNECT")
	wantKind(t, x.post(i.id(), "x"), "GoneException", 410)
}

func TestPeerHangsAtAPost(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	x.chaos.Force(chaos.PeerHung, 1)
	x.mustPost(i.id(), "lost")
	if !x.find(i.id()).isHung() {
		t.Error("the connection still works")
	}
	x.mustPost(i.id(), "lost too")
	send(t, ws, "unheard")
	x.mustBeOpen(i.id())
	x.Close()
	x.noInvocation()
}

func TestDisconnectIsBestEffort(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	for _, test := range []struct {
		fault chaos.Fault
		times int
	}{
		{chaos.DisconnectRepeated, 2}, {chaos.DisconnectLate, 1}, {"", 1}, {chaos.DisconnectLost, 0},
	} {
		x.chaos.Force(test.fault, 1)
		ws, i := x.dial()
		ws.Close()
		for range test.times {
			if got := x.next("DISCONNECT"); got.id() != i.id() {
				t.Errorf("%s: $disconnect of %s, want %s", test.fault, got.id(), i.id())
			}
		}
	}
	x.awaitUsage(Disconnected, 4)
	x.Close()
	x.noInvocation()
}

// $disconnect of a connection may come after its successor has connected.
func TestLateDisconnect(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	x.chaos.Set(chaos.DisconnectLate, chaos.Setting{Delay: time.Hour})
	x.chaos.Force(chaos.DisconnectLate, 1)
	ws, old := x.dial()
	ws.Close()
	x.awaitUsage(Disconnected, 1)
	_, successor := x.dial()
	x.mustBeOpen(successor.id())
	wantKind(t, x.post(old.id(), "x"), "GoneException", 410)
	x.noInvocation() // an hour away: Close does not wait for it
}

// Whatever goes wrong on a hostile day, every message is delivered, or its loss is counted.
func TestLossesAreExplained(t *testing.T) {
	t.Parallel()
	const clients, each = 10, 40
	plan := chaos.Default()
	delete(plan, chaos.DialRefused)
	for _, seed := range []uint64{1, 2, 3} {
		source := chaos.New(seed, plan)
		x := start(t, func(c *Config) { c.Chaos = source })
		delivered := map[string]int{}
		var sent []string
		var all []*websocket.Conn
		for range clients {
			ws, _ := x.dial()
			all = append(all, ws)
		}
		for n := range each {
			for client, ws := range all {
				sent = append(sent, fmt.Sprintf("message %d of client %d", n, client))
				send(t, ws, sent[len(sent)-1])
			}
		}
		x.awaitUsage(MessageIn, len(sent))
		struck := source.Struck()
		lost := struck[chaos.MessageLost] + struck[chaos.MessageThrottled]
		for range len(sent) - lost + struck[chaos.MessageDuplicated] {
			delivered[x.next("MESSAGE").Body]++
		}
		missing, twice := 0, 0
		for _, text := range sent {
			switch delivered[text] {
			case 0:
				missing++
			case 1:
			case 2:
				twice++
			default:
				t.Errorf("seed %d: %q came %d times", seed, text, delivered[text])
			}
		}
		if missing != lost || twice != struck[chaos.MessageDuplicated] || lost == 0 || twice == 0 {
			t.Errorf("seed %d: %d of %d lost, %d came twice; counted %v", seed, missing, len(sent), twice, struck)
		}
		x.Close()
		x.noInvocation()
	}
}
