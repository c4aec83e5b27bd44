package e2e

import (
	"fmt"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A crash leaves a report that only its owner reads, and the next start tells of it once.
func TestDesktopTellsOfACrash(t *testing.T) {
	d := startDisplay(t)
	_, port := hello(t)
	dt := startDesktop(t, d, "--open", port)
	dt.awaitWindow(t)
	dt.tray.awaitTitles(t, "localhost:"+port+" — Online")
	dt.signal(t, syscall.SIGABRT)
	if code := dt.exit(t); code == 0 {
		t.Fatal("it ended as if nothing had happened")
	}
	reports := func() []string {
		files, err := filepath.Glob(filepath.Join(dt.config, "crashes", "*.txt"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	tells := func(dt *desktop, want bool) {
		t.Helper()
		dt.awaitWindow(t)
		dt.awaitNotice(t, want)
	}
	next := startDesktopIn(t, d, dt.config)
	tells(next, true)
	keep(t, next.picture(t), "desktop-crash.png")
	files := reports()
	if len(files) != 1 {
		t.Fatalf("the reports are %q", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(text), "SIGABRT") || !strings.Contains(string(text), "goroutine ") {
		t.Errorf("the report says %.500q (%v)", text, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report: %v, %v; want 0600", info, err)
	}
	next.stop(t)

	again := startDesktopIn(t, d, dt.config)
	again.tray.awaitMenu(t, ownItems...)
	tells(again, false)
	if files := reports(); len(files) != 1 {
		t.Errorf("after an orderly end the reports are %q", files)
	}
	again.stop(t)
}

// The tray speaks the language of the config file, and of the settings as soon as that
// is chosen; the theme changes as it is chosen.
func TestDesktopSettingsAreLive(t *testing.T) {
	d := startDisplay(t)
	_, port := hello(t)
	own := "localhost:" + port
	dt := startDesktop(t, d, "--open", port)
	dt.awaitWindow(t)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	dt.openSettings(t, toGeneral)
	dt.click(t, lightTheme)
	eventually(t, func() error {
		if n := inked(dt.picture(t), image.Rect(520, 520, 1000, 620), lightPanel); n < 10_000 {
			return fmt.Errorf("the sheet has %d light pixels", n)
		}
		return nil
	})
	keep(t, dt.picture(t), "desktop-light.png")
	dt.click(t, languageChoice)
	dt.keys(t, "End", "Return") // Czech is the last one
	czech := []string{own + " — Online", "> Kopírovat URL", "> Otevřít v prohlížeči", "> Zastavit", "Nový tunel…", "Zobrazit okno", "Ukončit"}
	dt.tray.awaitMenu(t, czech...)
	eventually(t, func() error {
		if text := dt.configText(); !strings.Contains(text, `theme = "light"`) || !strings.Contains(text, `language = "cs"`) {
			return fmt.Errorf("the config file says\n%s", text)
		}
		return nil
	})
	keep(t, dt.picture(t), "desktop-czech.png")
	dt.stop(t)

	next := startDesktopIn(t, d, dt.config, "--minimized", "--open", port)
	next.tray.awaitMenu(t, czech...)
	next.stop(t)
}

// Without a choice the program speaks the desktop's language.
func TestDesktopSpeaksTheDesktopsLanguage(t *testing.T) {
	d := startDisplay(t)
	dt := &desktop{display: d, config: t.TempDir()}
	dt.process = startProcess(t, "culvert-desktop", append(dt.desktopEnv(), "LANG=cs_CZ.UTF-8", "LANGUAGE=cs"), "--minimized", "--config", dt.config)
	dt.tray = d.awaitTray(t, dt.process)
	dt.tray.awaitMenu(t, "Nový tunel…", "Zobrazit okno", "Ukončit")
	dt.stop(t)
}

// Quitting from the tray asks while tunnels are open, and being asked again is the answer.
func TestDesktopQuitWithTunnelsOpen(t *testing.T) {
	d := startDisplay(t)
	d.startWatcher(t)
	_, port := hello(t)
	dt := startDesktop(t, d, "--minimized", "--open", port)
	dt.tray.awaitTitles(t, "localhost:"+port+" — Online")
	public := dt.copyURL(t, port)
	quit := func() {
		t.Helper()
		eventually(t, func() error { return dt.tray.click("Quit") })
	}
	quit()
	dt.awaitWindow(t) // it is shown for the question
	dt.awaitQuestion(t, true)
	keep(t, dt.picture(t), "desktop-quit.png")
	dt.keys(t, "Escape")
	dt.awaitQuestion(t, false)
	mustGet(t, http.StatusOK, public)
	quit()
	dt.awaitQuestion(t, true)
	dt.keys(t, "Tab", "Return")
	if code := dt.exit(t); code != 0 {
		t.Errorf("it exited with %d", code)
	}
}
