package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// startBrowser starts a headless Chromium that talks to nobody but the tests.
func startBrowser(t testing.TB) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		missing(t, "chromium is not installed: the browser tests need it (make setup installs it)")
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.WSURLReadTimeout(patience),
	)...)
	t.Cleanup(cancel)
	// What this chromedp does not know of a newer Chromium's protocol is no finding.
	browser, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		if err := chromedp.Cancel(browser); err != nil {
			t.Logf("closing the browser: %v", err)
		}
		cancel()
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return browser
}

// tab is a tab of the browser, which collects what the page complains about.
type tab struct {
	context.Context
	mu    sync.Mutex
	found []string
}

func openTab(t testing.TB, browser context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	b := &tab{Context: ctx}
	messages := chromedp.Console(ctx) // the subscription begins here
	var reader sync.WaitGroup
	reader.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning {
				b.mu.Lock()
				b.found = append(b.found, m.String()+" "+m.URL)
				b.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { cancel(); reader.Wait() })
	return b
}

func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.found)
}

func (b *tab) navigate(t testing.TB, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("opening %s: %v", url, err)
	}
}

// eval gives the value of a JavaScript expression that is a string.
func (b *tab) eval(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string](expression))
}

// await polls until the expression is a string that is not empty. It survives
// that the page navigates, and errors while it does.
func (b *tab) await(t testing.TB, expression string) string {
	t.Helper()
	var value string
	eventually(t, func() error {
		var err error
		if value, err = b.eval(expression); err == nil && value == "" {
			page, _ := b.eval("document.documentElement.outerHTML")
			err = fmt.Errorf("%s is empty; the browser complains: %q; the page: %.1000s", expression, b.complaints(), page)
		}
		return err
	})
	return value
}

const pageBody = 50 << 20

// downloaded is what the page says of a right download.
func downloaded(size int64) string {
	hash := sha256.New()
	_, _ = io.CopyN(hash, endless(), size)
	return fmt.Sprintf("%d %x", size, hash.Sum(nil))
}

// page is the local service of the browser tests.
func page(t testing.TB) http.Handler {
	// What waits for the page's word: one channel each time around, by tunnel.
	var mu sync.Mutex
	channels := map[string]chan struct{}{}
	word := func(r *http.Request, name string) chan struct{} {
		mu.Lock()
		defer mu.Unlock()
		key := name + " " + r.Header.Get("X-Forwarded-Host")
		if channels[key] == nil {
			channels[key] = make(chan struct{}, 10)
		}
		return channels[key]
	}
	wait := func(r *http.Request, name string) bool {
		select {
		case <-word(r, name):
			return true
		case <-r.Context().Done():
			return false
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(os.DirFS("testdata/page")))
	mux.HandleFunc("/api/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Service", "here")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("X-Page"), body)
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "7", Path: "/"})
		http.Redirect(w, r, "/welcome", http.StatusSeeOther)
	})
	mux.HandleFunc("/welcome", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.RequestURI, " ", r.Header.Get("Cookie"))
	})
	mux.HandleFunc("/api/stream", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first,")
		w.(http.Flusher).Flush()
		if wait(r, "stream") {
			io.WriteString(w, "second")
		}
	})
	mux.HandleFunc("/api/stream/next", func(w http.ResponseWriter, r *http.Request) { word(r, "stream") <- struct{}{} })
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		// The default check of gorilla's: a page of the service's own origin.
		up := websocket.Upgrader{Subprotocols: []string{"echo"}}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("the page's WebSocket: %v; Origin %q, Host %q", err, r.Header.Get("Origin"), r.Host)
			return
		}
		defer ws.Close()
		for {
			kind, message, err := ws.ReadMessage()
			if err != nil || ws.WriteMessage(kind, message) != nil {
				return
			}
		}
	})
	mux.HandleFunc("/api/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		fmt.Fprint(w, "retry: 50\n\n")
		var last int
		_, _ = fmt.Sscan(r.Header.Get("Last-Event-ID"), &last)
		for n := last + 1; n <= last+2; n++ { // then the page has to come back
			fmt.Fprintf(w, "id: %d\nevent: count\ndata: n=%d\n\n", n, n)
			w.(http.Flusher).Flush()
			if !wait(r, "events") {
				return
			}
		}
	})
	mux.HandleFunc("/api/events/next", func(w http.ResponseWriter, r *http.Request) { word(r, "events") <- struct{}{} })
	mux.HandleFunc("/api/download", func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.ParseInt(r.FormValue("size"), 10, 64)
		if err != nil {
			t.Errorf("the size of the download: %v", err)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = io.CopyN(w, endless(), size)
	})
	mux.HandleFunc("/api/upload", func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d %x", n, hash.Sum(nil))
	})
	return mux
}

// TestChromium opens a real page in a real browser, in both forms of public URLs.
func TestChromium(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	_, a := tunnel(t, page(t))
	want := map[string]string{
		"style":    "rgb(1, 2, 3)",
		"image":    "17",
		"fetch":    "202 here PUT /api/echo?q=%2F+x yes ein Körper",
		"cookie":   "true session=7 /welcome session=7",
		"stream":   "first,second",
		"socket":   "echo täxt 0,1,255 100000 4000  true",
		"events":   "1:n=1 2:n=2 3:n=3 4:n=4",
		"download": downloaded(pageBody),
		"upload":   "same",
	}
	for form, url := range map[string]string{
		"path":      a.path(""), // without the slash at the end, as people copy it
		"subdomain": a.subdomain("/"),
	} {
		t.Run(form, func(t *testing.T) {
			checkPage(t, openTab(t, browser), url, strings.TrimSuffix(url, "/")+"/", want)
		})
	}
}

// checkPage opens the page and compares what it found.
func checkPage(t *testing.T, tab *tab, url, location string, want map[string]string) {
	t.Helper()
	tab.navigate(t, url)
	text := tab.await(t, `document.getElementById("result")?.textContent ?? ""`)
	var got map[string]string
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the page found: want - got +\n%s", diff)
	}
	if at := tab.await(t, `location.href`); at != location {
		t.Errorf("the page is at %s, want %s", at, location)
	}
	if found := tab.complaints(); len(found) > 0 {
		t.Errorf("the browser complains: %q", found)
	}
}

// TestChromiumErrorPage has a person wait before an error page: it goes away by
// itself when the tunnel is back.
func TestChromiumErrorPage(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	r := startRelay(t)
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>Back</title><link rel="icon" href="data:,"><p>back again`)
	}))
	spec := agentSpec{target: service.URL, backend: r.url(), config: t.TempDir(), args: []string{"--name", "comes-back"}}
	a := startAgent(t, spec)
	a.kill(t)
	eventuallyStatus(t, http.StatusBadGateway, a.path("/"))

	tab := openTab(t, browser)
	tab.navigate(t, a.path("/"))
	title := tab.await(t, `document.title`)
	startAgent(t, spec)
	again := tab.await(t, `document.title === "Back" ? document.title : ""`)
	if title == again {
		t.Errorf("the error page's title is the page's own, %q", title)
	}
}

// TestChromiumAbsolutePaths opens a page that takes itself to be at the root of its
// host, at the built-in relay's address where it is.
func TestChromiumAbsolutePaths(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	files := http.NewServeMux()
	files.HandleFunc("/static/app.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		io.WriteString(w, `fetch("/api/word").then(r => r.text()).then(word => { document.getElementById("result").textContent = word })`)
	})
	files.HandleFunc("/api/word", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "arrived") })
	files.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>Root</title><link rel="icon" href="data:,"><p id="result"></p><script src="/static/app.js"></script>`)
	})
	a := startAgent(t, agentSpec{target: serve(t, files).URL})
	tab := openTab(t, browser)
	tab.navigate(t, a.subdomain("/"))
	if text := tab.await(t, `document.getElementById("result")?.textContent ?? ""`); text != "arrived" {
		t.Errorf("the page shows %q", text)
	}
	if found := tab.complaints(); len(found) > 0 {
		t.Errorf("the browser complains: %q", found)
	}
}
