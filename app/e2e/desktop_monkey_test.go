package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The monkey: a seed and a number of actions, so that a run that found something can
// be repeated. 900 actions take about a minute; CULVERT_MONKEY=9000 ten.
const (
	monkeyActions = 900
	monkeySeed    = 20261121
)

// monkey clicks and types where it likes. It leaves the corner alone in which the
// built-in relay is opened to the network around: this may run on somebody's laptop.
type monkey struct {
	t      *testing.T
	random *rand.Rand
	dt     *desktop
	window string
	pids   int // how many programs it has used up by quitting them
	done   []string
}

// typed is what it types: sensible things, and things that have hurt other programs.
var typed = []string{"3000", "localhost:1", "http://[::1]:9", "status", "GET", "404", "~", "/", "../..", "-1", "99999", "%s%n", "日本語", "é🙂", "'\"<b>&", strings.Repeat("w", 300)}

// keys are those that it presses. Ctrl with Q is in it: quitting is no crash.
var keys = []string{"Tab", "Tab", "shift+Tab", "Return", "Return", "space", "Escape", "Escape", "Up", "Down", "Left", "Right", "Prior", "Next", "Home", "End",
	"BackSpace", "Delete", "ctrl+a", "ctrl+c", "ctrl+v", "ctrl+x", "ctrl+z", "ctrl+l", "ctrl+n", "ctrl+f", "ctrl+p", "ctrl+k", "ctrl+u", "ctrl+w", "ctrl+q",
	"ctrl+comma", "r", "c", "e", "m", "F1", "F5"}

// action is some arguments of xdotool.
func (m *monkey) action() []string {
	n := func(below int) string { return strconv.Itoa(m.random.IntN(below)) }
	x, y := m.random.IntN(1280), m.random.IntN(800)
	if x > 900 && y > 760 {
		y = 700
	}
	at := []string{"mousemove", "--window", m.window, strconv.Itoa(x), strconv.Itoa(y)}
	switch roll := m.random.IntN(100); {
	case roll < 55:
		return append(at, "click", "1")
	case roll < 59:
		return append(at, "click", "--repeat", "2", "--delay", "30", "1")
	case roll < 62:
		return append(at, "click", "3")
	case roll < 72:
		return append(at, "click", "--repeat", strconv.Itoa(1+m.random.IntN(8)), "--delay", "5", []string{"4", "5"}[m.random.IntN(2)])
	case roll < 76:
		return slices.Concat(at, []string{"mousedown", "1", "mousemove", "--window", m.window, n(900), n(760), "mouseup", "1"})
	case roll < 92:
		return []string{"key", "--clearmodifiers", keys[m.random.IntN(len(keys))]}
	default:
		return []string{"type", "--delay", "1", "--", typed[m.random.IntN(len(typed))]}
	}
}

// step does some actions at once. A program that the monkey has quit is started again.
func (m *monkey) step(start func() *desktop) {
	select {
	case <-m.dt.done:
		if m.dt.code != 0 {
			m.t.Fatalf("the program ended with exit code %d after %q", m.dt.code, m.done[max(len(m.done)-40, 0):])
		}
		m.pids++
		m.dt = start()
		m.window = m.dt.awaitWindow(m.t)
	default:
	}
	var args []string
	for range 5 {
		a := m.action()
		args, m.done = append(args, a...), append(m.done, strings.Join(a, " "))
		if a[0] == "type" {
			break // what it types goes to the end of the command line
		}
	}
	if _, err := m.dt.run("xdotool", args...); err != nil && len(m.dt.windows()) > 0 {
		m.t.Fatalf("%v after %q", err, m.done[max(len(m.done)-40, 0):])
	}
	if len(m.dt.windows()) == 0 {
		// Closed into the tray, or about to quit; what comes next shows which.
		_ = m.dt.tray.click("Show window")
		m.waitShown()
	}
}

// waitShown waits until there is a window again, or the program has ended.
func (m *monkey) waitShown() {
	eventually(m.t, func() error {
		select {
		case <-m.dt.done:
			return nil
		default:
		}
		if w := m.dt.windows(); len(w) > 0 {
			m.window = w[0]
			return nil
		}
		_ = m.dt.tray.click("Show window")
		return fmt.Errorf("the window has gone and does not come back")
	})
}

// busy is a service with a bit of everything, and visitors who use it.
func busy(t *testing.T) (port string, visit func(ctx context.Context, base string)) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/json":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"path":%q,"list":[%s1],"secret":"x"}`, r.URL.Path, strings.Repeat("1,", 500))
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("long line ", 100_000))
		case "/gone":
			http.Error(w, "gone", http.StatusGone)
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 100 {
				fmt.Fprintf(w, "id: %d\ndata: {\"n\":%d}\n\n", i, i)
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(50 * time.Millisecond): // the stream's own pace
				}
			}
		default:
			_, _ = w.Write([]byte{0, 1, 2, 0xff})
		}
	}))
	return s.URL[strings.LastIndexByte(s.URL, ':')+1:], func(ctx context.Context, base string) {
		for n := 0; ctx.Err() == nil; n++ {
			path := []string{"/json", "/", "/large", "/gone", "/json?q=1", "/events"}[n%6]
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond): // visitors' own pace
			}
		}
	}
}

// A monkey at the real window, with traffic: nothing crashes, nothing gets stuck, no
// widget is touched by a wrong goroutine, and nothing is left running afterwards.
func TestDesktopMonkey(t *testing.T) {
	actions, seed := monkeyActions, uint64(monkeySeed)
	for name, set := range map[string]func(int){
		"CULVERT_MONKEY": func(n int) { actions = n }, "CULVERT_MONKEY_SEED": func(n int) { seed = uint64(n) },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			set(n)
		}
	}
	t.Logf("seed %d, %d actions", seed, actions)
	d := startDisplay(t)
	d.startWatcher(t)
	r := startRelay(t)
	port, visit := busy(t)
	config := t.TempDir()
	start := func() *desktop { return startDesktopIn(t, d, config, "--backend", r.url(), "--open", port) }
	m := &monkey{t: t, random: rand.New(rand.NewPCG(seed, 1)), dt: start()}
	m.window = m.dt.awaitWindow(t)
	base := m.dt.copyURL(t, port)

	ctx, stop := context.WithCancel(t.Context())
	var visitors sync.WaitGroup
	for range 3 {
		visitors.Go(func() { visit(ctx, base) })
	}
	for len(m.done) < actions {
		m.step(start)
	}
	stop()
	visitors.Wait()
	keep(t, m.dt.picture(t), "desktop-monkey.png")

	// It still does what it is for.
	select {
	case <-m.dt.done:
		m.dt = start()
	default:
	}
	_, fresh := hello(t)
	if code := startProcess(t, "culvert-desktop", m.dt.desktopEnv(), "--config", config, "--open", fresh).exit(t); code != 0 {
		t.Fatalf("a second launch exited with %d", code)
	}
	eventually(t, func() error {
		items, _, err := m.dt.tray.menu()
		if err == nil && !slices.ContainsFunc(items, func(i menuItem) bool { return strings.HasPrefix(i.label, "localhost:"+fresh+" — ") }) {
			err = fmt.Errorf("the new tunnel is not in the menu %q", labels(items))
		}
		return err
	})
	t.Logf("%d programs were quit by the monkey", m.pids)
	m.goroutines()
}

// goroutineBounds are how many goroutines a program at rest may have, in all and
// started at one place. The monkey has left some tunnels open, each with its own.
const (
	goroutinesInAll   = 400
	goroutinesByPlace = 60
)

var createdBy = regexp.MustCompile(`(?m)^created by (\S+)`)

// goroutines lets the program tell what it runs, which ends it (SIGQUIT, see package
// os/signal), and looks for what piles up.
func (m *monkey) goroutines() {
	m.t.Helper()
	m.dt.signal(m.t, syscall.SIGQUIT)
	<-m.dt.done
	dump := m.dt.errors()
	total := strings.Count(dump, "\ngoroutine ")
	places := map[string]int{}
	for _, match := range createdBy.FindAllStringSubmatch(dump, -1) {
		places[match[1]]++
	}
	m.t.Logf("%d goroutines in the end", total)
	if total == 0 || total > goroutinesInAll {
		m.t.Errorf("%d goroutines are left, want at most %d", total, goroutinesInAll)
	}
	for place, n := range places {
		if n > goroutinesByPlace {
			m.t.Errorf("%d goroutines started by %s are left", n, place)
		}
	}
}
