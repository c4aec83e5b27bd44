package secret

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/app/notify/bustest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// token is one that must not show up anywhere else.
const token = "eyJhbGciOi.s3cret.signature"

func storeOn(t *testing.T, address string) *Store {
	t.Helper()
	s := newStore(Config{Folder: filepath.Join(t.TempDir(), "tokens")}, secretService{address})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("a call is still under way: %v", err)
		}
	})
	return s
}

func noFiles(t *testing.T, s *Store) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(s.files.folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("files %q, %v", left, err)
	}
}

// TestKeychain is a token's life in a keychain over a real bus.
func TestKeychain(t *testing.T) {
	t.Parallel()
	d := startDesktop(t)
	s, other := storeOn(t, d.address), storeOn(t, d.address)
	ctx := t.Context()
	if _, err := s.Get(ctx, "work"); !errors.Is(err, ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	if p := s.Place(ctx); !p.Keychain || p.Text != "Tokens are kept in this system's keychain." {
		t.Errorf("place %+v", p)
	}
	for _, want := range []string{token, "another"} {
		if p, err := s.Set(ctx, "work", " "+want+"\n"); err != nil || !p.Keychain {
			t.Fatalf("%+v, %v", p, err)
		}
		if got, err := s.Get(ctx, "work"); err != nil || got != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
	d.is(func() {
		if len(d.items) != 1 {
			t.Errorf("items %+v", d.items)
		}
		for _, one := range d.items {
			if one.attributes["service"] != "culvert" || !strings.Contains(one.label, "work") {
				t.Errorf("item %+v", one)
			}
		}
	})
	if _, err := other.Get(ctx, "work"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another installation has it, too: %v", err)
	}
	for range 2 {
		if err := s.Delete(ctx, "work"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Get(ctx, "work"); !errors.Is(err, ErrNotFound) {
		t.Errorf("afterwards: %v", err)
	}
	d.is(func() {
		if len(d.items) != 0 {
			t.Errorf("left behind: %+v", d.items)
		}
	})
	noFiles(t, s)
}

// TestLockedKeychain asks the person, who says yes, or no.
func TestLockedKeychain(t *testing.T) {
	t.Parallel()
	d := startDesktop(t)
	s := storeOn(t, d.address)
	ctx := t.Context()
	if _, err := s.Set(ctx, "work", token); err != nil {
		t.Fatal(err)
	}
	lock := func(answer string) { d.is(func() { d.locked, d.answer = true, answer }) }
	lock("no")
	if _, err := s.Get(ctx, "work"); !errors.Is(err, errDeclined) || !strings.Contains(err.Error(), "unlock it") {
		t.Errorf("declined: %v", err)
	}
	if _, err := s.Set(ctx, "work", "another"); !errors.Is(err, errDeclined) {
		t.Errorf("declined: %v", err)
	}
	lock("yes")
	if got, err := s.Get(ctx, "work"); err != nil || got != token {
		t.Errorf("got %q, %v", got, err)
	}
	lock("yes")
	if _, err := s.Set(ctx, "work", "another"); err != nil {
		t.Error(err)
	}
	noFiles(t, s)
}

// TestQuestionForEver has a person who is away: nobody waits for long, and nothing
// piles up; when the person comes back, all is well.
func TestQuestionForEver(t *testing.T) {
	t.Parallel()
	d := startDesktop(t)
	s := storeOn(t, d.address)
	s.limit = 50 * time.Millisecond
	d.is(func() { d.locked, d.answer = true, "" })
	ctx := t.Context()
	for s.limit = 20 * time.Millisecond; ; s.limit *= 2 { // until this machine comes as far as the question
		if _, err := s.Set(ctx, "work", token); !errors.Is(err, ErrWaiting) {
			t.Fatalf("got %v", err)
		}
		select {
		case <-d.asked:
		case <-time.After(s.limit):
			continue
		}
		break
	}
	for range 20 {
		if _, err := s.Get(ctx, "work"); !errors.Is(err, ErrWaiting) {
			t.Errorf("meanwhile: %v", err)
		}
		if err := s.Delete(ctx, "work"); !errors.Is(err, ErrWaiting) {
			t.Errorf("meanwhile: %v", err)
		}
	}
	d.is(func() {
		if d.prompts != 1 {
			t.Errorf("%d questions", d.prompts)
		}
		d.locked = false
		d.complete("/org/freedesktop/secrets/prompt/1", false)
	})
	s.turn <- struct{}{} // what was under way has ended
	<-s.turn
	s.limit = callLimit
	if got, err := s.Get(ctx, "work"); err != nil || got != token {
		t.Errorf("afterwards: %q, %v", got, err)
	}
	noFiles(t, s)
}

// TestQuestionIsTakenAway, when the program ends meanwhile.
func TestQuestionIsTakenAway(t *testing.T) {
	t.Parallel()
	d := startDesktop(t)
	s := storeOn(t, d.address)
	d.is(func() { d.locked, d.answer = true, "" })
	done := make(chan error, 1)
	go func() {
		_, err := s.Set(t.Context(), "work", token)
		done <- err
	}()
	<-d.asked
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-d.gone
	if _, err := s.Get(t.Context(), "work"); !errors.Is(err, context.Canceled) {
		t.Errorf("afterwards: %v", err)
	}
}

// TestKeychainHangs: one that takes calls and answers none.
func TestKeychainHangs(t *testing.T) {
	t.Parallel()
	d := startDesktop(t)
	hang := make(chan struct{})
	defer close(hang)
	d.is(func() { d.hang = hang })
	s := storeOn(t, d.address)
	s.limit = 20 * time.Millisecond
	for range 10 {
		if _, err := s.Get(t.Context(), "work"); !errors.Is(err, ErrWaiting) {
			t.Errorf("got %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx, "work"); !errors.Is(err, ErrWaiting) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestNoKeychain: tokens go into files, and that is said.
func TestNoKeychain(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	noDefault := startDesktop(t)
	noDefault.is(func() { noDefault.noAlias = true })
	for name, address := range map[string]string{
		"no bus": "unix:path=/nonexistent/bus", "no service": bus, "no collection": noDefault.address,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storeOn(t, address)
			ctx := t.Context()
			if _, err := s.Get(ctx, "work"); !errors.Is(err, ErrNotFound) {
				t.Errorf("before: %v", err)
			}
			p, err := s.Set(ctx, "work", token)
			if err != nil || p.Keychain || !strings.Contains(p.Text, s.files.folder) || p != s.Place(ctx) {
				t.Errorf("set: %+v, %v", p, err)
			}
			info, err := os.Stat(filepath.Join(s.files.folder, "work"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file: %v, %v", info, err)
			}
			if got, err := s.Get(ctx, "work"); err != nil || got != token {
				t.Errorf("got %q, %v", got, err)
			}
			if err := s.Delete(ctx, "work"); err != nil {
				t.Error(err)
			}
			noFiles(t, s)
		})
	}
}

// TestFromFileToKeychain: the keychain came later.
func TestFromFileToKeychain(t *testing.T) {
	t.Parallel()
	d := startDesktop(t)
	s := storeOn(t, d.address)
	ctx := t.Context()
	if err := s.files.set("work", "old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.files.path("work"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, "work"); err != nil || got != "old" {
		t.Errorf("got %q, %v", got, err)
	}
	if info, err := os.Stat(s.files.path("work")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if p, err := s.Set(ctx, "work", token); err != nil || !p.Keychain {
		t.Errorf("%+v, %v", p, err)
	}
	noFiles(t, s)
	if got, err := s.Get(ctx, "work"); err != nil || got != token {
		t.Errorf("got %q, %v", got, err)
	}
}
