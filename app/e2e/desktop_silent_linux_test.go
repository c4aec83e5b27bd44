package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A relay that is there and says nothing any more is noticed in the window within half
// a minute, and the tunnel comes back under its URL when it speaks again.
func TestDesktopNoticesASilentRelay(t *testing.T) {
	d := startDisplay(t)
	_, port := hello(t)
	own := "localhost:" + port
	r := startRelay(t)
	dt := startDesktop(t, d, "--backend", r.url(), "--open", port)
	dt.awaitWindow(t)
	dt.tray.awaitTitles(t, own+" — Online")
	public := dt.copyURL(t, port)
	mustGet(t, http.StatusOK, public)
	t.Cleanup(func() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }) // it may have ended
	since := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	dt.tray.awaitTitles(t, own+" — Reconnecting")
	if took := time.Since(since); took > 30*time.Second {
		t.Errorf("the tray said so after %v, want within 30 s", took)
	}
	dt.awaitInk(t, "the card of a tunnel whose relay is silent", firstCard, warnInk, true)
	keep(t, dt.picture(t), "desktop-silent.png")
	if err := r.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	dt.tray.awaitTitles(t, own+" — Online")
	if again := dt.copyURL(t, port); again != public {
		t.Errorf("the URL was %s and is now %s", public, again)
	}
	eventuallyStatus(t, http.StatusOK, public)
	dt.stop(t)
}

// A token that ends while the tunnel is open leaves a card that says so, and a new token
// brings the tunnel back.
func TestDesktopTokenEndsWhileOnline(t *testing.T) {
	claims := func(id string, life time.Duration) jwt.MapClaims {
		return jwt.MapClaims{"sub": "ada", "jti": id, "exp": time.Now().Add(life).Unix()}
	}
	for name, tt := range map[string]struct {
		life time.Duration
		list string // of those that are revoked, in the end
	}{
		"expired": {-10 * time.Second, ""}, // 30 s are forgiven
		"revoked": {time.Hour, "id first\n"},
	} {
		t.Run(name, func(t *testing.T) {
			revoked := filepath.Join(t.TempDir(), "revoked")
			if err := os.WriteFile(revoked, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			d := startDisplay(t)
			r := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret), "--revoked", revoked)
			first := mint(t, jwt.SigningMethodHS256, []byte(testSecret), claims("first", tt.life))
			config, file := withToken(t, r, first, "")
			_, port := hello(t)
			own := "localhost:" + port
			dt := startDesktopIn(t, d, config, "--open", port)
			dt.awaitWindow(t)
			dt.tray.awaitTitles(t, own+" — Online")
			if err := os.WriteFile(revoked, []byte(tt.list), 0o600); err != nil {
				t.Fatal(err)
			}
			dt.tray.awaitTitles(t, own+" — Refused")
			dt.awaitInk(t, "the card of a tunnel whose token has ended", firstCard, badInk, true)
			keep(t, dt.picture(t), "desktop-token-"+name+".png")

			next := mint(t, jwt.SigningMethodHS256, []byte(testSecret), claims("second", time.Hour))
			if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error { return dt.tray.click(own+" — Refused", "Start") })
			dt.tray.awaitTitles(t, own+" — Online")
			mustGet(t, http.StatusOK, dt.copyURL(t, port))
			dt.stop(t)
		})
	}
}
