package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

const greetActions = `{"type":"connection_established","connection_id":"c","tunnel_id":"t","public_url":"http://x/t","protocol":2,"capabilities":["resume","actions","notices"],"resume":"r","epoch":1}`

// asker asks and tells what came of it.
func asker(t *testing.T, ask func(context.Context, string, any) (json.RawMessage, error)) func(action string, data any) <-chan string {
	return func(action string, data any) <-chan string {
		said := make(chan string, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			result, err := ask(t.Context(), action, data)
			var refused *wire.ActionError
			switch {
			case errors.As(err, &refused):
				said <- fmt.Sprintf("refused %s: %s", refused.Code, refused.Message)
			case err != nil:
				said <- "error: " + err.Error()
			default:
				said <- string(result)
			}
		})
		t.Cleanup(wg.Wait)
		return said
	}
}

// action reads what was asked, without the product's decoder.
func action(t *testing.T, text string) (name, id, data string) {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if _, typed := m["type"]; typed {
		t.Errorf("an action has a type: %s", text)
	}
	_ = json.Unmarshal(m["action"], &name)
	_ = json.Unmarshal(m["id"], &id)
	return name, id, string(m["data"])
}

// received is the texts that came beside heartbeats.
func (b *pipeBackend) received() []string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.others...)
}

func TestAsk(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) (*Link, *pipeBackend){
		"relay, form 1": func(t *testing.T) (*Link, *pipeBackend) { return pipeLink(t, &Config{}, "http", greetActions, false) },
		"relay, form 2": func(t *testing.T) (*Link, *pipeBackend) {
			return (&pipeBackend{t: t, form2: true}).link(&Config{}, "http", greetActions, false)
		},
		"gateway": func(t *testing.T) (*Link, *pipeBackend) { return pipeLink(t, &Config{}, "ws", greetActions, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, b := start(t)
				running(t, l)
				ask := asker(t, l.Ask)
				first := ask("echo", map[string]any{"a": "b"})
				synctest.Wait()
				second := ask("timestamp", nil)
				got := b.received()
				if len(got) != 2 {
					t.Fatalf("messages %q", got)
				}
				name1, id1, data1 := action(t, got[0])
				name2, id2, data2 := action(t, got[1])
				if name1 != "echo" || data1 != `{"a":"b"}` || name2 != "timestamp" || data2 != "" || id1 == id2 || id1 == "" {
					t.Errorf("messages %q", got)
				}
				// In any order, twice, to nobody, and to a question of another.
				b.send(`{"action":"timestamp","status":"success","result":1}`)
				b.send(`{"action":"timestamp","id":"other","status":"success","result":2}`)
				b.send(`{"action":"timestamp","id":"` + id2 + `","status":"success","result":{"unix_ms":5}}`)
				b.send(`{"action":"timestamp","id":"` + id2 + `","status":"success","result":3}`)
				b.send(`{"action":"echo","id":"` + id1 + `","status":"error","error":{"code":"throttled","message":"later,\u001b[2J please"}}`)
				if got := <-second; got != `{"unix_ms":5}` {
					t.Errorf("timestamp: %s", got)
				}
				if got := <-first; got != "refused throttled: later, [2J please" {
					t.Errorf("echo: %q", got)
				}
				third := ask("echo", nil)
				_, id3, _ := action(t, b.received()[2])
				b.send(`{"action":"echo","id":"` + id3 + `","status":"success","result":null}`)
				if got := <-third; got != "" {
					t.Errorf("null became %q", got)
				}
				if n := len(l.asked.waiting); n != 0 {
					t.Errorf("%d still wait", n)
				}
			})
		})
	}
}

// TestAskIsAskedOnce: an action need not be idempotent, so silence ends in an error.
func TestAskIsAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "ws", greetActions, false)
		running(t, l)
		start := time.Now()
		_, err := l.Ask(t.Context(), "echo", 1)
		if took := time.Since(start); took != 30*time.Second || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "is not known") {
			t.Errorf("after %v: %v", took, err)
		}
		if got := b.received(); len(got) != 1 {
			t.Errorf("asked %d times", len(got))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Ask(ctx, "echo", 1); err != context.DeadlineExceeded || time.Since(start) != 31*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestAskIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "http", greetActions, false)
		done := running(t, l)
		var waiting []<-chan string
		ask := asker(t, l.Ask)
		for range maxActions {
			waiting = append(waiting, ask("echo", nil))
		}
		synctest.Wait()
		if _, err := l.Ask(t.Context(), "echo", nil); !errors.Is(err, errManyActions) {
			t.Errorf("one more: %v", err)
		}
		var failed *wire.ActionError
		if _, err := l.Ask(t.Context(), "echo", strings.Repeat("x", wire.MaxAction)); !errors.As(err, &failed) || failed.Code != wire.CodeTooLarge {
			t.Errorf("too much: %v", err)
		}
		if _, err := l.Ask(t.Context(), "echo", func() {}); err == nil {
			t.Error("a function became JSON")
		}
		if got := b.received(); len(got) != maxActions {
			t.Errorf("%d messages", len(got))
		}
		_ = b.conn.Close()
		<-done
		for _, said := range waiting {
			if got := <-said; !strings.HasPrefix(got, "error: the connection ended") {
				t.Errorf("%q", got)
			}
		}
		if _, err := l.Ask(t.Context(), "echo", nil); err == nil {
			t.Error("a link that has ended answers")
		}
	})
}

func TestAskNeedsTheCapability(t *testing.T) {
	t.Parallel()
	for name, greeting := range map[string]string{
		"declared nothing": greetPlain,
		"declared resume":  greetDeclared,
		"names it only":    strings.Replace(greetActions, `"protocol":2,`, "", 1),
	} {
		synctest.Test(t, func(t *testing.T) {
			l, b := pipeLink(t, &Config{}, "http", greeting, false)
			running(t, l)
			if _, err := l.Ask(t.Context(), "echo", nil); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %v", name, err)
			}
			if got := b.received(); len(got) != 0 {
				t.Errorf("%s: %q was sent", name, got)
			}
		})
	}
}

func TestNoticesArePassedOn(t *testing.T) {
	t.Parallel()
	for name, form2 := range map[string]bool{"form 1": false, "form 2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got []string
				cfg := &Config{OnNotice: func(n *wire.Notice) { got = append(got, fmt.Sprintf("%s %s %d", n.ID, n.Data, n.Time)) }}
				// One comes before the greeting, as to a client without a tunnel.
				early := `{"type":"notice","id":"0","data":"early","time":1}`
				l, b := (&pipeBackend{t: t, form2: form2, early: early}).link(cfg, "http", greetActions, false)
				running(t, l)
				b.send(`{"type":"notice","id":"1","data":{"title":"a","n":[1, 2]},"time":1700000000000}`)
				b.send(`{"type":"notice","id":"1","data":{"title":"a","n":[1, 2]},"time":1700000000000}`)
				b.send(`{"type":"notice","id":"","data":1,"time":1}`)
				b.send(`{"type":"notice","id":"2","time":1}`)
				b.send(`{"type":"notice","id":"3","data":"` + strings.Repeat("x", wire.MaxNotice) + `","time":1}`)
				b.send(`{"type":"notice","id":"4","data":null}`)
				synctest.Wait()
				same := `1 {"title":"a","n":[1,2]} 1700000000000`
				if diff := cmp.Diff([]string{`0 "early" 1`, same, same, "4 null 0"}, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // nobody has asked for any
		l, b := pipeLink(t, &Config{}, "http", greetActions, false)
		done := running(t, l)
		b.send(`{"type":"notice","id":"1","data":1,"time":1}`)
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Run = %v", err)
		default:
		}
	})
}

// TestActionsOfABackend: the agent is nobody's server for actions.
func TestActionsOfABackend(t *testing.T) {
	t.Parallel()
	b := newFrameBackend(t, greetDeclared)
	_, conn, _ := b.agent(t, hello)
	for _, text := range []string{`{"action":"echo","id":"1"}`, `{"action":5}`, `{"action":"echo","status":"?"}`, `{"action":"echo","status":"error"}`} {
		if err := conn.SendText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if body, err := get(t, conn, "/a"); err != nil || body != "hello from /a" {
		t.Errorf("body %q, %v", body, err)
	}
}
