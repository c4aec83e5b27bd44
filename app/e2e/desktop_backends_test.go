package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// A relay that wants a token refuses the tunnel, the card says so, and the token that
// is then typed into the settings is kept where it belongs: in the desktop's keychain,
// or without one in a file that only its owner reads.
func TestDesktopTokenRefusedThenGiven(t *testing.T) {
	token := mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "ada"})
	for _, present := range []bool{false, true} {
		t.Run(fmt.Sprintf("keychain %v", present), func(t *testing.T) {
			d := startDisplay(t)
			var k *keychain
			if present {
				k = d.startKeychain(t)
			}
			r := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret))
			_, port := hello(t)
			config := writeConfig(t, fmt.Sprintf("# mine\nprofile = \"work\"\n\n[profiles.work]\nbackend = %q\n", r.url()))
			dt := startDesktopIn(t, d, config, "--open", port)
			dt.awaitWindow(t)
			dt.tray.awaitTitles(t, "localhost:"+port+" — Refused")
			dt.awaitInk(t, "the card of a refused tunnel", firstCard, badInk, true)
			keep(t, dt.picture(t), "desktop-refused.png")

			dt.openSettings(t, 0)
			dt.click(t, firstEdit)
			dt.keys(t, "Tab", "Tab") // from the name by the address to the token
			dt.types(t, token)
			keep(t, dt.picture(t), "desktop-token.png")
			dt.keys(t, "Return")
			kept := filepath.Join(config, "tokens", "work")
			eventually(t, func() error {
				if present {
					if got := k.secrets(); !slices.Equal(got, []string{token}) {
						return fmt.Errorf("the keychain has %d secrets", len(got))
					}
					return nil
				}
				text, err := os.ReadFile(kept)
				if err != nil || strings.TrimSpace(string(text)) != token {
					return fmt.Errorf("the file of the token has %d bytes: %v", len(text), err)
				}
				return nil
			})
			dt.keys(t, "Escape", "Escape")
			eventually(t, func() error {
				_ = dt.tray.click("localhost:"+port+" — Refused", "Start") // unless the program has done that
				items, _, err := dt.tray.menu()
				if err == nil && items[0].label != "localhost:"+port+" — Online" {
					err = fmt.Errorf("the tunnel is %q", items[0].label)
				}
				return err
			})
			mustGet(t, http.StatusOK, dt.copyURL(t, port))
			dt.stop(t)

			// So that its next start finds it, too.
			next := startDesktopIn(t, d, config, "--minimized", "--open", port)
			next.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
			next.stop(t)

			files := found(t, config, token)
			if want := map[bool][]string{false: {kept}}[present]; !slices.Equal(files, want) {
				t.Errorf("the token is in %q, want it in %q", files, want)
			}
			if !present {
				if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v; want 0600", kept, info, err)
				}
			}
			for _, p := range []*desktop{dt, next} {
				if strings.Contains(p.output(), token) || strings.Contains(strings.Join(p.cmd.Args, " "), token) {
					t.Error("the token is in the log or the arguments")
				}
			}
			if text := dt.configText(); !strings.HasPrefix(text, "# mine\n") || !strings.Contains(text, "keychain = true") {
				t.Errorf("the config file says\n%s", text)
			}
		})
	}
}

// While the relay is away the card counts down to the next attempt.
func TestDesktopCountsDown(t *testing.T) {
	d := startDisplay(t)
	_, port := hello(t)
	r := startRelay(t)
	dt := startDesktop(t, d, "--backend", r.url(), "--open", port)
	dt.awaitWindow(t)
	dt.tray.awaitTitles(t, "localhost:"+port+" — Online")
	r.kill(t)
	dt.tray.awaitTitles(t, "localhost:"+port+" — Reconnecting")
	dt.awaitInk(t, "the card of a tunnel that has lost its relay", firstCard, warnInk, true)
	first := dt.picture(t)
	eventually(t, func() error {
		if samePixels(first, dt.picture(t), firstCard) {
			return fmt.Errorf("the card stands still")
		}
		return nil
	})
	r.start(t)
	dt.tray.awaitTitles(t, "localhost:"+port+" — Online")
	dt.awaitInk(t, "the card of a tunnel that has its relay again", firstCard, warnInk, false)
	dt.stop(t)
}
