package secret

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stubborn is a keychain whose calls end when it likes, as macOS' do.
type stubborn struct {
	release chan struct{}
	calls   atomic.Int32
	failure error
	does    func()
}

func (k *stubborn) call() error {
	k.calls.Add(1)
	if k.does != nil {
		k.does()
	}
	if k.release != nil {
		<-k.release
	}
	return k.failure
}

func (k *stubborn) Get(context.Context, string) (string, error)      { return "from the keychain", k.call() }
func (k *stubborn) Set(_ context.Context, _, _, secret string) error { return k.call() }
func (k *stubborn) Delete(context.Context, string) error             { return k.call() }
func (k *stubborn) Present(context.Context) error                    { return k.call() }

func TestHungCallsDoNotPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &stubborn{release: make(chan struct{})}
		s := newStore(Config{Folder: t.TempDir()}, k)
		start := time.Now()
		if _, err := s.Get(t.Context(), "work"); !errors.Is(err, ErrWaiting) || time.Since(start) != callLimit {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		start = time.Now()
		for range 100 {
			if _, err := s.Get(t.Context(), "work"); !errors.Is(err, ErrWaiting) {
				t.Error(err)
			}
		}
		if k.calls.Load() != 1 || time.Since(start) != 0 {
			t.Errorf("%d calls, %v", k.calls.Load(), time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		close(k.release)
		synctest.Wait()
		if got, err := s.Get(t.Context(), "work"); err != nil || got != "from the keychain" {
			t.Errorf("afterwards: %q, %v", got, err)
		}
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestCallsWaitForEachOther: at the start, the tokens of several profiles are wanted at once.
func TestCallsWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		under := 0
		k := &stubborn{}
		k.does = func() {
			if under++; under > 1 {
				t.Error("two calls at once")
			}
			time.Sleep(time.Second)
			under--
		}
		s := newStore(Config{Folder: t.TempDir()}, k)
		done := make(chan error, 4)
		for range cap(done) {
			go func() {
				_, err := s.Get(t.Context(), "work")
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &stubborn{release: make(chan struct{})}
		s := newStore(Config{Folder: t.TempDir()}, k)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Delete(ctx, "work"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(k.release)
		synctest.Wait()
	})
}

func TestKeychainFails(t *testing.T) {
	t.Parallel()
	k := &stubborn{failure: errors.New("the disk is full")}
	s := newStore(Config{Folder: t.TempDir()}, k)
	if _, err := s.Set(t.Context(), "work", "token"); err == nil || err.Error() != "the keychain failed: the disk is full" {
		t.Errorf("set: %v", err)
	}
	if p := s.Place(t.Context()); !p.Keychain || !strings.Contains(p.Text, "the disk is full") {
		t.Errorf("place: %+v", p)
	}
	if err := s.Delete(t.Context(), "work"); err == nil {
		t.Error("delete: no error")
	}
	k.failure = errTooLarge
	if p, err := s.Set(t.Context(), "work", "token"); err != nil || p.Keychain || !strings.Contains(p.Text, "too long") {
		t.Errorf("too long: %+v, %v", p, err)
	}
	k.does = func() { panic("nonsense") }
	if err := s.Delete(t.Context(), "work"); err == nil || !strings.Contains(err.Error(), "makes no sense") {
		t.Errorf("a panic: %v", err)
	}
	if _, err := s.Get(t.Context(), "work"); err == nil {
		t.Error("the file is still there")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNoToken(t *testing.T) {
	t.Parallel()
	k := &stubborn{}
	s := newStore(Config{Folder: t.TempDir()}, k)
	for _, bad := range []string{"", " \n", "a\nb", strings.Repeat("x", maxToken+1), "a\x00b"} {
		if _, err := s.Set(t.Context(), "work", bad); err == nil || k.calls.Load() != 0 {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{
		"work", "Work", "WORK", "my aws", "..", ".", "a/b", `a\b`, "", "con", "con.x", "com1", "nul", "ž", "a.", "a", "%", "%25", "a%2fb",
		strings.Repeat("x", 500), strings.Repeat("x", 501), ".hidden", "a:b",
	} {
		file := fileName(name)
		if other, ok := seen[strings.ToLower(file)]; ok {
			t.Errorf("%q and %q are both %q", name, other, file)
		}
		seen[strings.ToLower(file)] = name
		if file == "" || len(file) > 200 || strings.ContainsAny(file, `/\:*?"<>|`) || strings.HasPrefix(file, ".") || strings.HasSuffix(file, ".") {
			t.Errorf("%.20q: %q", name, file)
		}
	}
	if fileName("work") != "work" {
		t.Error(fileName("work"))
	}
}
