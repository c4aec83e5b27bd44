package wsapi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/clock"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	c := clock.NewStopped(time.Now())
	x := start(t, func(cfg *Config) { cfg.Clock = c })
	ws, i := x.dial()
	id := i.id()
	send(t, ws, `{"a":1}`)
	x.next("MESSAGE")
	x.awaitUsage(Integrated, 2)
	p := strings.Repeat("x", 32<<10+1)
	x.mustPost(id, p)
	read(t, ws)
	c.Advance(61 * time.Second)
	ws.Close()
	x.next("DISCONNECT")
	x.awaitUsage(Integrated, 3)
	x.used.mu.Lock()
	defer x.used.mu.Unlock()
	got := map[UsageKind][]Usage{}
	for _, u := range x.used.all {
		if u.API != apiID || u.Connection != id {
			t.Errorf("usage of %s, %s", u.API, u.Connection)
		}
		kind := u.Kind
		u.API, u.Connection, u.Kind = "", "", ""
		got[kind] = append(got[kind], u)
	}
	want := map[UsageKind][]Usage{
		Connected:    {{Status: 101}},
		MessageIn:    {{Bytes: 7, Units: 1, Route: "$default"}},
		MessageOut:   {{Bytes: 32<<10 + 1, Units: 2}},
		Managed:      {{Principal: "AKIDAGENTS", Action: "execute-api:ManageConnections", Resource: ExecuteARN(region, account, apiID, "live/POST/@connections/"+id), Bytes: 32<<10 + 1, Status: 200}},
		Disconnected: {{Status: 1006, Duration: 61 * time.Second}},
		Integrated:   {{Route: "$connect", Status: 200}, {Route: "$default", Status: 200}, {Route: "$disconnect", Status: 200}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := got[Disconnected][0].Minutes(); got != 2 {
		t.Errorf("billed %d minutes, want 2", got)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int]int{0: 1, 1: 1, 32 << 10: 1, 32<<10 + 1: 2, 128 << 10: 4} {
		if got := units(bytes); got != want {
			t.Errorf("%d bytes are %d units, want %d", bytes, got, want)
		}
	}
}

// Close ends everything, whatever is under way. Leaks are looked for after all tests.
func TestClose(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, _ := x.dial()
	hung, i := x.dial()
	x.Hang(i.id())
	x.f.answers(untilClosed)
	send(t, ws, "never answered")
	x.next("MESSAGE")
	send(t, hung, "never read")
	dialling := make(chan error)
	go func() {
		_, _, err := x.tryDial("/live", nil)
		dialling <- err
	}()
	x.next("CONNECT")
	x.Close()
	x.Close() // twice is once
	if err := <-dialling; err == nil {
		t.Error("a handshake went through after the end")
	}
	if code, _ := closed(t, ws); code != -1 {
		t.Errorf("closed with %d", code)
	}
	if got := x.used.of(Disconnected); len(got) != 2 {
		t.Errorf("%d connections billed, want 2", len(got))
	}
	if err := x.Start(nil); err == nil {
		t.Error("a closed API was started")
	}
	if x.background(func() { t.Error("ran after the end") }) {
		t.Error("work was taken after the end")
	}
	x.noInvocation() // no $disconnect
}

// A function that answers after it was given up changes nothing.
func TestAnswerAfterTimeoutIsDropped(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) {
		c.Limits.Integration = time.Millisecond
		c.Routes = map[string]Route{"$default": {Lambda: c.Routes["$default"].Lambda, RouteResponse: true}}
	})
	release, answered := make(chan struct{}), make(chan struct{})
	x.f.answers(func(context.Context, invocation) (string, error) {
		<-release
		defer close(answered)
		return `{"statusCode":200,"body":"late"}`, nil
	})
	ws, _, err := x.tryDial("/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, ws, "x")
	id := x.next("MESSAGE").id()
	if got := parseInjected(t, read(t, ws)); got.Message != "Endpoint request timed out" {
		t.Errorf("told %q", got.Message)
	}
	close(release)
	<-answered
	x.mustPost(id, "next")
	if got := read(t, ws); got != "next" {
		t.Errorf("got %q", got)
	}
}
