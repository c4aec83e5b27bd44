package e2e

import (
	"fmt"
	"image"
	"image/color"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// desktop is a running culvert-desktop with a display of its own.
type desktop struct {
	*process
	*display
	config string
	tray   *tray
}

func startDesktop(t testing.TB, d *display, args ...string) *desktop {
	t.Helper()
	return startDesktopIn(t, d, t.TempDir(), args...)
}

func startDesktopIn(t testing.TB, d *display, config string, args ...string) *desktop {
	t.Helper()
	dt := &desktop{display: d, config: config}
	dt.process = startProcess(t, "culvert-desktop", dt.desktopEnv(), append([]string{"--config", config}, args...)...)
	dt.tray = d.awaitTray(t, dt.process)
	// Whatever else a test is about, no widget may be touched by a wrong goroutine.
	t.Cleanup(func() {
		dt.end()
		if strings.Contains(dt.errors(), "Error in Fyne call thread") {
			t.Errorf("a call came from a wrong goroutine:\n%s", dt.errors())
		}
	})
	return dt
}

func (dt *desktop) desktopEnv() []string {
	return append(dt.env(), "CULVERT_UI_CHECK=1", "FYNE_THEME=dark", "LIBGL_ALWAYS_SOFTWARE=1",
		// Compiling Fyne's shaders takes a software renderer ten seconds, but once.
		"MESA_SHADER_CACHE_DIR="+filepath.Join(buildDir, "mesa"))
}

// hello is a local service.
func hello(t testing.TB) (s *httptest.Server, port string) {
	t.Helper()
	s = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s", r.URL.Path)
	}))
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return s, u.Port()
}

// ownItems end every tray menu.
var ownItems = []string{"New tunnel…", "Show window", "Quit"}

// tunnelItems are one tunnel's part of the tray menu.
func tunnelItems(port, status string) []string {
	toggle := "> Stop"
	if status == "Stopped" {
		toggle = "> Start"
	}
	return []string{"localhost:" + port + " — " + status, "> Copy URL", "> Open in browser", toggle}
}

// copyURL copies the URL of a tunnel without a name by the tray, and reads it as another
// program would.
func (dt *desktop) copyURL(t testing.TB, port string) (url string) {
	t.Helper()
	return dt.urlOf(t, "localhost:"+port+" — Online")
}

// Where the table's rows begin in a window of 1280 × 800, and what colours its
// answers have in the dark theme.
var (
	firstRow  = image.Rect(372, 144, 1270, 171)
	secondRow = image.Rect(372, 172, 1270, 199)
	firstCard = image.Rect(13, 78, 358, 300)
	inspector = image.Rect(372, 400, 1270, 767) // of the selected row
	okInk     = color.RGBA{0x3f, 0xb6, 0x7f, 0xff}
	warnInk   = color.RGBA{0xe0, 0xa6, 0x3a, 0xff}
	badInk    = color.RGBA{0xee, 0x77, 0x70, 0xff}
)

// awaitInk waits until an area has writing in a colour, or until it has none.
func (dt *desktop) awaitInk(t testing.TB, what string, area image.Rectangle, ink color.RGBA, want bool) {
	t.Helper()
	eventually(t, func() error {
		if n := inked(dt.picture(t), area, ink); n > 50 != want {
			return fmt.Errorf("%s has %d pixels of %v; wanted there: %v", what, n, ink, want)
		}
		return nil
	})
}

// awaitRows waits until the table's first rows have inks of these kinds.
func (dt *desktop) awaitRows(t testing.TB, inks ...color.RGBA) image.Image {
	t.Helper()
	var img image.Image
	eventually(t, func() error {
		img = dt.picture(t)
		for i, row := range []image.Rectangle{firstRow, secondRow} {
			for _, ink := range []color.RGBA{okInk, badInk} {
				want := i < len(inks) && inks[i] == ink
				if n := inked(img, row, ink); n > 5 != want {
					return fmt.Errorf("row %d has %d pixels of %v; wanted there: %v", i+1, n, ink, want)
				}
			}
		}
		return nil
	})
	return img
}

// The product's main job, at the window and the tray that a person uses.
func TestDesktopFromFieldToClipboard(t *testing.T) {
	d := startDisplay(t)
	dt := startDesktop(t, d)
	service, port := hello(t)
	window := dt.awaitWindow(t)
	dt.tray.awaitMenu(t, ownItems...)

	dt.xdotool(t, "type", port) // the field has the focus from the start
	dt.xdotool(t, "key", "Return")
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	dt.awaitRows(t) // empty so far
	dt.awaitInk(t, "the card before any request", firstCard, warnInk, false)

	public := dt.copyURL(t, port)
	if a := mustGet(t, http.StatusOK, public+"/first"); a.body != "hello from /first" {
		t.Errorf("through the tunnel came %q", a.body)
	}
	dt.awaitRows(t, okInk)
	service.Close()
	mustGet(t, http.StatusServiceUnavailable, public+"/second")
	dt.awaitRows(t, badInk, okInk) // newest first
	dt.awaitInk(t, "the card of a service that has gone", firstCard, warnInk, true)

	dt.xdotool(t, "mousemove", "--window", window, "700", "157", "click", "1") // the failed request
	dt.awaitInk(t, "the cause of the failure", inspector, badInk, true)
	keep(t, dt.picture(t), "desktop.png")
	eventually(t, func() error {
		dt.xdotool(t, "key", "ctrl+c") // the row, as cURL
		if got := dt.clipboard(); !strings.HasPrefix(got, "curl ") || !strings.Contains(got, public+"/second") {
			return fmt.Errorf("the clipboard holds %q, want the request", got)
		}
		return nil
	})
	dt.xdotool(t, "key", "Escape")
	dt.awaitInk(t, "the inspector of no request", inspector, badInk, false)
	dt.stop(t)
}

func TestDesktopStopAndStartFromTheTray(t *testing.T) {
	d := startDisplay(t)
	_, port := hello(t)
	dt := startDesktop(t, d, "--minimized", "--open", port)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	if w := dt.windows(); len(w) > 0 {
		t.Errorf("--minimized shows a window: %v", w)
	}
	public := dt.copyURL(t, port)
	mustGet(t, http.StatusOK, public)

	eventually(t, func() error { return dt.tray.click("localhost:"+port+" — Online", "Stop") })
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Stopped"), ownItems...)...)
	eventuallyStatus(t, http.StatusBadGateway, public)

	eventually(t, func() error { return dt.tray.click("localhost:"+port+" — Stopped", "Start") })
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	eventuallyStatus(t, http.StatusOK, public)
	dt.stop(t)
}

func TestDesktopSecondLaunchHandsOver(t *testing.T) {
	d := startDisplay(t)
	_, one := hello(t)
	_, two := hello(t)
	dt := startDesktop(t, d, "--minimized", "--open", one)
	dt.tray.awaitMenu(t, append(tunnelItems(one, "Online"), ownItems...)...)

	second := startProcess(t, "culvert-desktop", dt.desktopEnv(), "--minimized", "--open", two, "--config", dt.config)
	if code := second.exit(t); code != 0 {
		t.Fatalf("the second launch exited with %d:\n%s", code, second.output())
	}
	both := append(tunnelItems(one, "Online"), tunnelItems(two, "Online")...)
	dt.tray.awaitMenu(t, append(both, ownItems...)...)
	if w := dt.windows(); len(w) > 0 {
		t.Errorf("a minimized second launch shows a window: %v", w)
	}
	mustGet(t, http.StatusOK, dt.copyURL(t, two))

	// Launched again without flags, it shows the window.
	if code := startProcess(t, "culvert-desktop", dt.desktopEnv(), "--config", dt.config).exit(t); code != 0 {
		t.Fatalf("the third launch exited with %d", code)
	}
	dt.awaitWindow(t)

	// A crash leaves its socket behind; the next launch must not be misled.
	dt.kill(t)
	next := startDesktopIn(t, d, dt.config, "--minimized")
	next.tray.awaitMenu(t, ownItems...)
	next.stop(t)
}

func TestDesktopClosedWithATray(t *testing.T) {
	d := startDisplay(t)
	w := d.startWatcher(t)
	_, port := hello(t)
	dt := startDesktop(t, d, "--open", port)
	<-w.registered
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	public := dt.copyURL(t, port)
	dt.closeWindow(t, dt.awaitWindow(t))
	dt.awaitNoWindow(t)
	mustGet(t, http.StatusOK, public)

	eventually(t, func() error {
		if len(dt.windows()) > 0 {
			return nil
		}
		if err := dt.tray.click("Show window"); err != nil {
			return err
		}
		return fmt.Errorf("no window yet")
	})
	dt.awaitRows(t, okInk) // and it knows what passed meanwhile
	dt.stop(t)
}

func TestDesktopClosedWithoutATray(t *testing.T) {
	d := startDisplay(t)
	idle := startDesktop(t, d)
	idle.closeWindow(t, idle.awaitWindow(t))
	if code := idle.exit(t); code != 0 {
		t.Fatalf("closed with nothing open, it exited with %d", code)
	}

	_, port := hello(t)
	dt := startDesktop(t, d, "--open", port)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	public := dt.copyURL(t, port)
	window := dt.awaitWindow(t)
	mustGet(t, http.StatusOK, public)
	before := dt.awaitRows(t, okInk) // a table of few rows: what follows leaves its middle as it is
	dt.closeWindow(t, window)
	eventually(t, func() error {
		if samePixels(before, dt.picture(t), centre) {
			return fmt.Errorf("no question is asked")
		}
		return nil
	})
	mustGet(t, http.StatusOK, public)
	dt.xdotool(t, "key", "Escape") // keep running
	eventually(t, func() error {
		if !samePixels(before, dt.picture(t), centre) {
			return fmt.Errorf("the question is still there")
		}
		return nil
	})
	mustGet(t, http.StatusOK, public)
	if len(dt.windows()) == 0 {
		t.Fatal("the window is hidden, and nothing can bring it back")
	}
	dt.closeWindow(t, window)
	eventually(t, func() error {
		if samePixels(before, dt.picture(t), centre) {
			return fmt.Errorf("no question is asked")
		}
		return nil
	})
	dt.closeWindow(t, window) // asked again while the question stands
	if code := dt.exit(t); code != 0 {
		t.Errorf("it exited with %d", code)
	}
}

func samePixels(a, b image.Image, area image.Rectangle) bool {
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			if a.At(x, y) != b.At(x, y) {
				return false
			}
		}
	}
	return true
}

func TestDesktopQuitFromTheTray(t *testing.T) {
	d := startDisplay(t)
	dt := startDesktop(t, d, "--minimized")
	eventually(t, func() error { return dt.tray.click("Quit") })
	if code := dt.exit(t); code != 0 {
		t.Errorf("it exited with %d", code)
	}
}

func TestDesktopStartsOnABrokenConfig(t *testing.T) {
	d := startDisplay(t)
	config := t.TempDir()
	file, broken := filepath.Join(config, "config.toml"), "profile = \n[[["
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port := hello(t)
	dt := startDesktopIn(t, d, config, "--open", port)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	mustGet(t, http.StatusOK, dt.copyURL(t, port))
	dt.awaitWindow(t)
	dt.awaitNotice(t, true)
	keep(t, dt.picture(t), "desktop-broken-config.png")
	dt.stop(t)
	if text, err := os.ReadFile(file); err != nil || string(text) != broken {
		t.Errorf("the file is %q (%v), want it untouched", text, err)
	}
}

// A relay that goes away and comes back: the tray says so, and the URL stays.
func TestDesktopSurvivesItsRelay(t *testing.T) {
	d := startDisplay(t)
	_, port := hello(t)
	r := startRelay(t)
	dt := startDesktop(t, d, "--backend", r.url(), "--open", port)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	public := dt.copyURL(t, port)
	if !strings.HasPrefix(public, r.url()+"/") {
		t.Fatalf("the URL is %s, want one of the relay at %s", public, r.url())
	}
	mustGet(t, http.StatusOK, public)
	r.kill(t)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Reconnecting"), ownItems...)...)
	dt.awaitWindow(t)
	dt.awaitInk(t, "the card of a tunnel that has lost its relay", firstCard, warnInk, true)
	keep(t, dt.picture(t), "desktop-reconnecting.png")
	r.start(t)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	if again := dt.copyURL(t, port); again != public {
		t.Errorf("the URL was %s and is now %s", public, again)
	}
	mustGet(t, http.StatusOK, public)
	dt.stop(t)
}

func TestDesktopUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		code int
		says string
		env  []string
	}{
		"unknown flag":           {[]string{"--nope"}, 2, "run \"culvert-desktop --help\"", nil},
		"stray argument":         {[]string{"3000"}, 2, "3000", nil},
		"port too high":          {[]string{"--open", "99999"}, 2, "99999", nil},
		"another scheme":         {[]string{"--open", "ftp://localhost"}, 2, "ftp", nil},
		"strange backend":        {[]string{"--backend", "ftp://example.com"}, 2, "--backend", nil},
		"without a screen":       {nil, 1, "display", nil},
		"a screen that has gone": {nil, 1, "culvert http", []string{"DISPLAY=:65535"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProcess(t, "culvert-desktop", tt.env, append(tt.args, "--config", t.TempDir())...)
			if code := p.exit(t); code != tt.code || !strings.Contains(p.errors(), tt.says) || strings.Contains(p.errors(), "panic") {
				t.Errorf("exit code %d, want %d; it said %q, which should name %q", code, tt.code, p.errors(), tt.says)
			}
		})
	}
}
