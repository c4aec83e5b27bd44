package link

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

const gatewayTimeout = `{"message": "Endpoint request timed out", "connectionId":"c", "requestId":"r"}`

// answered are the IDs of the requests that the backend got an answer to, in order.
func (b *pipeBackend) answered() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for _, text := range b.others {
		message, err := wire.Decode([]byte(text), wire.MaxGatewayMessage)
		switch m := message.(type) {
		case *wire.HTTPResponse:
			ids = append(ids, m.RequestID)
		case *wire.ErrorMessage:
			ids = append(ids, m.RequestID+"!")
		default:
			b.t.Errorf("the agent sent %s (%v)", text, err)
		}
	}
	b.others = nil
	return strings.Join(ids, " ")
}

func TestAnswersAreOfferedAgain(t *testing.T) {
	t.Parallel()
	ask := func(b *pipeBackend, id string) {
		b.send(fmt.Sprintf(`{"type":"http_request","request_id":%q,"method":"GET","uri":"/","headers":{},"body":"","timestamp":1}`, id))
		synctest.Wait()
	}
	want := func(t *testing.T, b *pipeBackend, when, want string) {
		t.Helper()
		synctest.Wait()
		if got := b.answered(); got != want {
			t.Errorf("%s: answers to %q, want %q", when, got, want)
		}
	}
	handler := func(x wire.Exchange) {
		if strings.HasSuffix(x.ID(), "fails") {
			x.Reset(wire.ResetUnavailable, "down")
			return
		}
		_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 2, Header: http.Header{}}, false)
		_, _ = x.WriteLast([]byte("ok"))
	}
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{Handler: handler}, "ws", greetPlain, false)
		running(t, l)
		b.send(gatewayTimeout)
		want(t, b, "before any answer", "")
		ask(b, "old")
		time.Sleep(3 * time.Second)
		ask(b, "young")
		ask(b, "fails")
		b.mu.Lock()
		first := strings.Join(b.others, "\n")
		b.mu.Unlock()
		want(t, b, "at first", "old young fails!")

		b.send(gatewayTimeout)
		synctest.Wait()
		b.mu.Lock()
		if diff := cmp.Diff(first, strings.Join(b.others, "\n")); diff != "" {
			t.Errorf("not the same answers (-first +again):\n%s", diff)
		}
		b.mu.Unlock()
		want(t, b, "after a timeout", "old young fails!")
		b.send(gatewayTimeout)
		want(t, b, "after another at once", "")
		time.Sleep(2*time.Second + 1)
		b.send(`{"message":"Internal server error","connectionId":"c","requestId":"r"}`)
		want(t, b, "when one is too old", "young fails!")
		b.send(`{"type":"weather","message":"fine"}`)
		time.Sleep(time.Second)
		b.send(`{"type":"weather","message":"fine"}`)
		want(t, b, "after something else", "")
		time.Sleep(2 * time.Second)
		b.send(gatewayTimeout) // offering them again has not made them younger
		want(t, b, "when all are too old", "")
	})
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{Handler: handler}, "http", greetPlain, false)
		running(t, l)
		ask(b, "a")
		want(t, b, "at first", "a")
		b.send(gatewayTimeout)
		want(t, b, "on a relay, which loses nothing", "")
	})
}

func TestOffersAreBounded(t *testing.T) {
	t.Parallel()
	var o offers
	now := time.Now()
	large := make([]byte, offerBytes/4)
	for range 9 {
		o.note(large, now)
	}
	if n := len(o.due(now)); n != 4 || o.bytes != offerBytes {
		t.Errorf("%d large answers of %d bytes are kept", n, o.bytes)
	}
	for range 2 * offerCount {
		o.note([]byte("x"), now)
	}
	if n := len(o.due(now.Add(offerEvery))); n != offerCount || o.bytes != offerCount {
		t.Errorf("%d small answers of %d bytes are kept", n, o.bytes)
	}
	o.note([]byte("x"), now.Add(offerFor+1))
	if o.bytes != 1 || len(o.sent) != 1 {
		t.Errorf("%d old answers are kept", len(o.sent))
	}
}
