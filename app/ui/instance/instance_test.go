package instance

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a config folder with a path that is short enough everywhere.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "culvert")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func first(t *testing.T, dir string, handle func(Launch)) *Instance {
	t.Helper()
	inst, err := Claim(t.Context(), dir, Launch{})
	if err != nil {
		t.Fatal(err)
	}
	inst.Serve(handle)
	return inst
}

func TestSecondLaunchHandsOver(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	got := make(chan Launch, 1)
	inst := first(t, dir, func(l Launch) { got <- l })
	want := Launch{Open: []string{"3000", "http://localhost:8080"}, Backend: "https://relay.example", Minimized: true}
	if _, err := Claim(t.Context(), dir, want); !errors.Is(err, ErrHandedOver) {
		t.Fatalf("the second launch got %v, want ErrHandedOver", err)
	}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("handed over (-want +got):\n%s", diff)
	}
	if err := inst.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	next, err := Claim(t.Context(), dir, Launch{})
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows guards files by ACL, inherited from the folder")
	}
	dir := folder(t)
	inst := first(t, dir, func(Launch) {})
	defer inst.Close()
	for _, name := range []string{socketName, lockName} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := fi.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, mode)
		}
	}
}

// A program that was killed leaves its socket behind; nobody listens on it.
func TestStaleSocketIsReplaced(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, socketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	got := make(chan Launch, 1)
	inst := first(t, dir, func(l Launch) { got <- l })
	defer inst.Close()
	if _, err := Claim(t.Context(), dir, Launch{Open: []string{"1"}}); !errors.Is(err, ErrHandedOver) {
		t.Fatalf("handing over after a crash: %v", err)
	}
	<-got
}

func TestOneWinnerAmongMany(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var winners, handed atomic.Int32
	var received atomic.Int32
	var mu sync.Mutex
	var held []*Instance
	var wg sync.WaitGroup
	const launches = 8
	for range launches {
		wg.Go(func() {
			inst, err := Claim(t.Context(), dir, Launch{Open: []string{"3000"}})
			switch {
			case err == nil:
				winners.Add(1)
				inst.Serve(func(Launch) { received.Add(1) })
				mu.Lock()
				held = append(held, inst)
				mu.Unlock()
			case errors.Is(err, ErrHandedOver):
				handed.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, inst := range held {
		inst.Close()
	}
	if winners.Load() != 1 || handed.Load() != launches-1 || received.Load() != launches-1 {
		t.Errorf("%d winners, %d handed over, %d received; want 1, %d, %d", winners.Load(), handed.Load(), received.Load(), launches-1, launches-1)
	}
}

func TestLongFolderNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	got := make(chan Launch, 1)
	inst, err := Claim(t.Context(), dir, Launch{})
	if runtime.GOOS != "linux" {
		if err == nil || !strings.Contains(err.Error(), "--config") {
			t.Errorf("got %v, want an error that says what to do", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	inst.Serve(func(l Launch) { got <- l })
	defer inst.Close()
	if _, err := Claim(t.Context(), dir, Launch{Minimized: true}); !errors.Is(err, ErrHandedOver) {
		t.Fatal(err)
	}
	if l := <-got; !l.Minimized {
		t.Error("the flags were lost")
	}
}

func TestJunkIsIgnored(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	got := make(chan Launch, 1)
	inst := first(t, dir, func(l Launch) { got <- l })
	defer inst.Close()
	for _, junk := range []string{"", "\n", "{", "[1]\n", strings.Repeat("x", maxLaunch+1)} {
		conn, err := net.Dial("unix", filepath.Join(dir, socketName))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(junk)) // may be cut off: that is the point
		_ = conn.(*net.UnixConn).CloseWrite()
		answer := make([]byte, 8)
		if n, _ := conn.Read(answer); n != 0 {
			t.Errorf("%.20q was answered with %q", junk, answer[:n])
		}
		conn.Close()
	}
	if _, err := Claim(t.Context(), dir, Launch{}); !errors.Is(err, ErrHandedOver) {
		t.Fatalf("after junk: %v", err)
	}
	<-got
}

// A holder that never answers must not keep a second launch waiting for ever.
func TestSilentHolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	inst, err := Claim(t.Context(), dir, Launch{}) // Serve is never called
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Claim(ctx, dir, Launch{}); err == nil || errors.Is(err, ErrHandedOver) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v, want an error that says that the running program does not answer", err)
	}
}
