package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// copyState is what a machine has on its disk when a process is killed.
func copyState(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// A relay that was killed gives returning agents the same URLs, and keeps names
// for their owners until they return.
func TestKilledRelayGivesTheSameURLs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startRelay(t, func(c *Config) { c.StateDir = dir })
	ann, bob := newOwner(t), newOwner(t)
	named := r.startAgent2(r.readyFor(ann, "shop", "one"), serveName("named"))
	random := r.startAgent2(r.readyFor(bob, "", "two"), serveName("random"))
	nobody := r.startAgent2(wire.Ready{Protocol: 2}, serveName("nobody"))
	eventually(t, "reservations on the disk", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, reservationsFile))
		return strings.Contains(string(text), `"shop"`) && strings.Contains(string(text), random.TunnelID)
	})
	if text, _ := os.ReadFile(filepath.Join(dir, reservationsFile)); strings.Contains(string(text), named.Resume) || strings.Contains(string(text), random.Resume) {
		t.Error("a resume secret stands in the file")
	}

	again := startRelay(t, func(c *Config) { c.StateDir = copyState(t, dir) })
	for _, id := range []string{"shop", random.TunnelID} {
		if res, _ := again.get("/" + id + "/"); res.StatusCode != 502 {
			t.Errorf("before its agent is back, %s gives %d, want 502", id, res.StatusCode)
		}
	}
	// The public URL differs by its port alone, and so does the host of the proof.
	if _, err := again.connectAgent2(nil, again.readyFor(bob, "shop", "thief"), serveName("thief")); again.refusalCode(err) != wire.CodeNameTaken {
		t.Errorf("another owner: %v", err)
	}
	if _, err := again.connectAgent2(nil, again.readyFor(ann, random.TunnelID, "thief"), serveName("thief")); again.refusalCode(err) != wire.CodeNameTaken {
		t.Errorf("another owner of a made-up ID: %v", err)
	}
	for _, c := range []struct {
		name  string
		had   *agent2
		ready wire.Ready
		epoch int64
	}{
		{"named", named, again.readyFor(ann, "", "one"), 2},
		{"random", random, again.readyFor(bob, "", "two"), 2},
		{"nobody", nobody, wire.Ready{Protocol: 2}, 2},
	} {
		back := again.startAgent2(resuming(c.ready, c.had.Established), serveName(c.name))
		if back.TunnelID != c.had.TunnelID || back.Resume != c.had.Resume || back.Epoch != c.epoch {
			t.Errorf("%s: %+v, had %+v", c.name, back.Established, c.had.Established)
		}
		if _, body := again.get("/" + back.TunnelID + "/"); body != c.name {
			t.Errorf("%s: visitors get %q", c.name, body)
		}
	}
}

// Without a state folder, only what agents show counts, and it counts for nothing.
func TestForgetfulRelay(t *testing.T) {
	t.Parallel()
	r, again := startRelay(t, nil), startRelay(t, nil)
	ann := newOwner(t)
	had := r.startAgent2(r.readyFor(ann, "shop", "one"), serveName("x"))
	back := again.startAgent2(resuming(again.readyFor(ann, "", "one"), had.Established), serveName("x"))
	if back.TunnelID != "shop" || back.Resume == had.Resume {
		t.Errorf("%+v", back.Established) // a free name is its owner's who asks first
	}
}

func TestForm2TakeOver(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ann := newOwner(t)
	one := r.startAgent2(r.readyFor(ann, "shop", "one"), serveName("one"))
	if _, err := r.connectAgent2(nil, r.readyFor(ann, "shop", "two"), serveName("two")); r.refusalCode(err) != wire.CodeNameTaken {
		t.Errorf("without the secret: %v", err)
	}
	r.startAgent2(resuming(r.readyFor(ann, "", "two"), one.Established), serveName("two"))
	if message, ok := (<-one.texts).(*wire.ErrorMessage); !ok || message.Code != wire.CodeReplaced || message.Message == "" {
		t.Errorf("the old process got %+v", message)
	}
	<-one.done
	var closed *mux.CloseError
	if !errors.As(one.err, &closed) || closed.Code != closePolicy {
		t.Errorf("its connection ended with %v", one.err)
	}
	if _, body := r.get("/shop/"); body != "two" {
		t.Errorf("visitors get %q", body)
	}
	if _, err := r.connectAgent2(nil, resuming(r.readyFor(ann, "", "one"), one.Established), serveName("one")); r.refusalCode(err) != wire.CodeReplaced {
		t.Errorf("the old process comes back: %v", err)
	}
}

// While a session replaces its own connection again and again, no request is lost.
func TestForm2PlannedReplacementLosesNothing(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ann := newOwner(t)
	a := r.startAgent2(r.readyFor(ann, "shop", "one"), serveName("ok"))
	stop, failed := make(chan bool), make(chan string, 4)
	for range 3 {
		go func() {
			for {
				select {
				case <-stop:
					failed <- ""
					return
				default:
				}
				res, err := r.http.Post(r.base+"/shop/", "text/plain", strings.NewReader("body"))
				if err != nil {
					failed <- err.Error()
					return
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if string(body) != "ok" {
					failed <- res.Status + " " + string(body)
					return
				}
			}
		}()
	}
	for range 20 {
		next := r.startAgent2(resuming(r.readyFor(ann, "", "one"), a.Established), serveName("ok"))
		<-a.done
		a = next
	}
	close(stop)
	for range 3 {
		if f := <-failed; f != "" {
			t.Errorf("a request was lost: %s", f)
		}
	}
	select {
	case m := <-a.texts:
		t.Errorf("the session was told %+v", m)
	default:
	}
}

// An agent behind a connection on which nothing passes any more is displaced by
// its owner's new process, without a secret.
func TestForm2HalfDeadHolderIsDisplaced(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.ProbeTimeout = 100 * time.Millisecond })
	ann := newOwner(t)
	ws := r.mustDialAgent(nil, wire.Subprotocol)
	r.sendReady(ws, r.readyFor(ann, "shop", "one"))
	ws.ReadMessage() // established, and from here on nobody reads
	two := r.startAgent2(r.readyFor(ann, "shop", "two"), serveName("two"))
	if two.Epoch != 2 {
		t.Errorf("%+v", two.Established)
	}
	if _, body := r.get("/shop/"); body != "two" {
		t.Errorf("visitors get %q", body)
	}
}

func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.StateDir = t.TempDir() })
	started, release := make(chan bool), make(chan bool)
	a := r.startAgent2(r.readyFor(newOwner(t), "shop", "one"), func(st *mux.Stream) {
		started <- true
		<-release
		reply(st, 200, nil, "finished")
	})
	original := r.startAgent1(nil, func(*agent1, object) object { return nil })
	got := make(chan string, 1)
	go func() {
		_, body := r.get("/shop/")
		got <- body
	}()
	<-started
	stopped := make(chan bool)
	go func() {
		r.stop()
		close(stopped)
	}()
	if message, ok := (<-a.texts).(*wire.ErrorMessage); !ok || message.Code != wire.CodeGoingAway {
		t.Errorf("the agent was told %+v", message)
	}
	release <- true
	if body := <-got; body != "finished" {
		t.Errorf("the visitor in flight got %q", body)
	}
	<-stopped
	<-a.done
	<-original.done
	if c, err := net.Dial("tcp", r.addr); err == nil {
		c.Close()
		t.Error("the listener is still open")
	}
	kept, err := mustOpen(t, r.cfg.StateDir).loadReservations(silent, time.Now())
	if err != nil || len(kept) != 1 || kept[0].ID != "shop" || kept[0].Owner == "" || !kept[0].Named {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

// What does not end by itself is cut when the time is over.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.Grace = 100 * time.Millisecond })
	started := make(chan bool, 2)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if st.Request().Upgrade != "" {
			switchTo(st, "raw/1")
		}
		started <- true
		<-st.Context().Done()
	})
	go func() {
		if res, err := r.http.Get(r.base + "/" + a.TunnelID + "/"); err == nil {
			res.Body.Close()
		}
	}()
	up := r.raw()
	up.send("GET /" + a.TunnelID + "/" + upgradeHeader)
	http.ReadResponse(up.r, nil)
	slow := r.mustDialAgent(nil) // never sends ready
	<-started
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), patienceForTests)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
	if _, err := io.ReadAll(up.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the upgraded connection lives on")
	}
	readClose(t, slow)
	<-a.done
	if err := r.Shutdown(ctx); err != nil { // again does no harm
		t.Error(err)
	}
}

func TestAgentsAreToldThatTheRelayStops(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	_, res, err := r.dialAgent(nil)
	if err == nil || res == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Fatalf("%v %v", res, err)
	}
	if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `"going_away"`) {
		t.Errorf("%s", body)
	}
}
