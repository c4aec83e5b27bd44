package engine

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/app/session"
	"culvert/backend/wire"
)

// TestBuiltInCannotRun does not try for ever what only a person can mend, and is
// ready when that was done.
func TestBuiltInCannotRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil  func(dir string) error
		mended string
		says   string
	}{
		"a file in its place": {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "", "folder"},
		"a damaged key": {func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "relay.key"), []byte("x"), 0o600))
		}, "relay.key", "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			if err := c.spoil(dir.BuiltInState()); err != nil {
				t.Fatal(err)
			}
			e, l := start(t, Config{Dir: dir})
			tun := open(t, e, Spec{Target: service(t)})
			s := state(t, l, session.Refused)
			if !errors.As(s.Cause, new(*LocalError)) || errors.As(s.Cause, new(*wire.Error)) || !strings.Contains(s.Cause.Error(), c.says) {
				t.Errorf("cause %v", s.Cause)
			}
			if cause := tun.Status().Cause; !errors.As(cause, new(*LocalError)) {
				t.Errorf("the status has the cause %v", cause)
			}
			if err := os.Remove(filepath.Join(dir.BuiltInState(), c.mended)); err != nil {
				t.Fatal(err)
			}
			tun.Start()
			wantHello(t, state(t, l, session.Online).Established.PublicURL)
		})
	}
}

// TestReadOnlyFolder needs nothing but the owner key; the built-in relay forgets.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("this user may write everywhere")
	}
	dir := folder(t)
	if _, err := dir.OwnerKey(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir.Path(), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir.Path(), 0o700) })
	e, l := start(t, Config{Dir: dir})
	open(t, e, Spec{Target: service(t)})
	wait(t, l, "notice", func(n Notice) bool { return strings.Contains(n.Message, "URLs will be others next time") })
	wantHello(t, state(t, l, session.Online).Established.PublicURL)
}

// TestLooseOwnerKey is told.
func TestLooseOwnerKey(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	dir := folder(t)
	if _, err := dir.OwnerKey(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir.Path(), "owner.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, l := start(t, Config{Dir: dir})
	wait(t, l, "notice", func(n Notice) bool { return strings.Contains(n.Message, "owner.key") })
}

// What the world is told holds no secret.
func TestToldHasNoSecrets(t *testing.T) {
	t.Parallel()
	est := wire.Established{TunnelID: "shop", PublicURL: "https://shop.example.com", Resume: "secret", Session: "token", StreamURL: "https://streams.example.com/shop"}
	got := (&Tunnel{}).told(session.Status{State: session.Online, Established: est}).Established
	est.Resume, est.Session = "", ""
	if diff := cmp.Diff(est, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
