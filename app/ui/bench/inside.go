package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"time"

	"culvert/app/capture"
	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/exchange"
	"culvert/app/notify"
	"culvert/app/secret"
	"culvert/app/ui"
	"culvert/app/ui/control"
	"culvert/app/ui/inspector"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/notices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/canvas"
)

// runInside is this command as a child of itself: a window with a probe in it.
func runInside(ctx context.Context, o options) error {
	app.SetMetadata(fyne.AppMetadata{ID: "app.culvert.bench", Name: "bench", Migrations: map[string]bool{"fyneDo": true}})
	a := app.NewWithID("app.culvert.bench")
	a.Settings().SetTheme(look.Theme{})
	bridge := ui.NewBridge()
	defer bridge.Close()
	in := &inside{app: a, bridge: bridge, options: o}
	measure := map[string]func(context.Context) (any, error){"storm": in.storm, "body": in.body, "empty": in.empty}[o.inside]
	if measure == nil {
		return fmt.Errorf("unknown measurement %q", o.inside)
	}
	var result any
	var failed error
	bridge.Go(func(window context.Context) error {
		defer context.AfterFunc(ctx, in.quit)()
		result, failed = measure(window)
		in.quit()
		return nil
	}, nil)
	a.Run()
	bridge.Close()
	if failed != nil || ctx.Err() != nil {
		return cmpErr(failed, ctx.Err())
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// inside is the program with the probe.
type inside struct {
	app     fyne.App
	bridge  *ui.Bridge
	options options
}

func (in *inside) quit() { in.bridge.Post(func() { in.bridge.Shut(); in.app.Quit() }) }

// await runs f in the toolkit's goroutine and returns how long that took to be over.
func (in *inside) await(ctx context.Context, f func()) (time.Duration, error) {
	begin, done := time.Now(), make(chan struct{})
	in.bridge.Post(func() { f(); close(done) })
	select {
	case <-done:
		return time.Since(begin), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// empty is a window in which nothing happens, for comparison.
func (in *inside) empty(ctx context.Context) (any, error) {
	_, err := in.await(ctx, func() {
		w := in.app.NewWindow("empty")
		w.SetContent(canvas.NewRectangle(look.Color(look.ColorBase)))
		w.SetPadded(false)
		w.Resize(fyne.NewSize(1280, 800))
		w.Show()
	})
	if err == nil {
		<-ctx.Done()
	}
	return nil, ctx.Err()
}

// storm puts exchanges into the log faster than people can read, and measures how
// long the main loop makes others wait.
func (in *inside) storm(ctx context.Context) (_ any, err error) {
	folder, err := os.MkdirTemp("", "culvert-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	dir, err := config.Open(folder)
	if err != nil {
		return nil, err
	}
	store := model.NewStore()
	notifier := notify.New(notify.Config{App: "bench", Send: func(string, string) {}})
	defer notifier.Close()
	policy := notices.New(notifier, func() {}, func(string) {})
	defer policy.Close()
	secrets := secret.New(secret.Config{Folder: folder + "/tokens"})
	ctl := control.New(control.Config{Store: store, Dir: dir, Secrets: secrets, Notices: policy})
	eng, err := engine.New(engine.Config{Dir: dir, OnEvent: ctl.OnEvent, Bodies: true})
	if err != nil {
		return nil, err
	}
	ctl.Attach(eng)
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = errors.Join(err, eng.Close(closing), ctl.Close(closing), secrets.Close(closing))
	}()
	ctl.Begin(ctx)
	key, err := ctl.Open(ctx, "9", false) // discard: nothing has to listen there
	if err != nil {
		return nil, err
	}
	if _, err := in.await(ctx, func() { err = in.window(store, ctl) }); err != nil {
		return nil, err
	}
	return in.measureStorm(ctx, store, ctl, eng.Tunnel(key))
}

func (in *inside) window(store *model.Store, ctl *control.Control) error {
	w, err := ui.New(ui.Config{
		App: in.app, Store: store, Controller: ctl, Bridge: in.bridge, Clipboard: ui.SystemClipboard{},
		OpenURL: in.app.OpenURL, TrayHost: func(context.Context) bool { return true }, Quit: func() {},
	})
	if err == nil {
		w.Run()
		w.Show()
	}
	return err
}

func (in *inside) measureStorm(ctx context.Context, store *model.Store, ctl *control.Control, t *engine.Tunnel) (*stormResult, error) {
	if err := rest(ctx, 2*time.Second); err != nil { // the first frames load fonts
		return nil, err
	}
	r := &stormResult{}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	waits := make(chan []time.Duration, 1)
	go func() { waits <- in.probe(probing) }()
	begin := time.Now()
	const tick = 10 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	quarter := in.options.storm / 4
	for n := 0; n < 4; {
		due := int(float64(in.options.rate) * time.Since(begin).Seconds())
		for ; r.Rows < due; r.Rows++ {
			ctl.OnEvent(engine.RequestDone{Tunnel: t, Exchange: sample(r.Rows)})
		}
		if time.Since(begin) > time.Duration(n+1)*quarter {
			r.Heaps[n] = heap()
			n++
		}
		<-ticker.C
	}
	r.Elapsed = time.Since(begin)
	after, err := cpuTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	r.CPU = (after - before).Seconds() / r.Elapsed.Seconds()
	stop()
	all := <-waits
	if len(all) == 0 {
		return nil, errors.New("the main loop never answered")
	}
	slices.Sort(all)
	r.LoopP50, r.LoopP99, r.LoopMost = all[len(all)/2], all[len(all)*99/100], all[len(all)-1]
	view := model.NewView(store)
	view.Sync()
	r.Shown = view.Len()
	r.RSS, err = resident(os.Getpid())
	return r, err
}

// probe asks the main loop for a turn every 20 ms, and returns how long each took to come.
func (in *inside) probe(ctx context.Context) (waits []time.Duration) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return waits
		case <-ticker.C:
		}
		wait, err := in.await(ctx, func() {})
		if err != nil {
			return waits
		}
		waits = append(waits, wait)
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sample is a finished exchange as a tunnel would record it.
func sample(n int) *capture.Exchange {
	status := []int{200, 200, 200, 304, 404, 500}[n%6]
	return &capture.Exchange{
		ID: fmt.Sprint("bench-", n), Start: time.Now(), Duration: time.Duration(n%300) * time.Millisecond, RemoteAddr: "203.0.113.7",
		Method: http.MethodGet, Path: fmt.Sprintf("/items/%d?page=%d", n, n%7), Host: "localhost", Status: status,
		RequestHeader:  http.Header{"User-Agent": {"bench"}, "Accept": {"*/*"}},
		ResponseHeader: http.Header{"Content-Type": {"application/json"}},
		BytesOut:       int64(n % 4096), RequestBody: &capture.Body{}, ResponseBody: &capture.Body{},
	}
}

// body measures how soon the inspector shows the start of a long body.
func (in *inside) body(ctx context.Context) (any, error) {
	x := &exchange.Exchange{
		ID: "bench", Method: http.MethodGet, Path: "/export", Status: 200, Start: time.Now(), Duration: time.Second,
		Response: exchange.Message{Header: http.Header{"Content-Type": {"application/json"}}, Body: longJSON(10 << 20)},
	}
	r := &bodyResult{Bytes: len(x.Response.Body)}
	prepared := make(chan struct{}, 100)
	var i *inspector.Inspector
	if _, err := in.await(ctx, func() {
		i = inspector.New(inspector.Actions{
			Prepare: func(work func(context.Context), then func()) {
				in.bridge.Go(func(ctx context.Context) error { work(ctx); return nil }, func(error) { then(); prepared <- struct{}{} })
			},
			Copy: func(string, func()) {},
		})
		w := in.app.NewWindow("body")
		w.SetContent(i)
		w.Resize(fyne.NewSize(907, 640))
		w.Show()
	}); err != nil {
		return nil, err
	}
	if err := rest(ctx, 2*time.Second); err != nil { // the first frames load fonts
		return nil, err
	}
	begin := time.Now()
	in.bridge.Post(func() { i.Inspect(x, nil) })
	// Request and answer: both are laid out when two have been prepared.
	for range 2 {
		select {
		case <-prepared:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	// What they have changed is drawn before the loop takes another turn.
	if _, err := in.await(ctx, func() {}); err != nil {
		return nil, err
	}
	r.First = time.Since(begin)
	var err error
	r.RSS, err = resident(os.Getpid())
	return r, err
}

// longJSON is a document of at least that many bytes.
func longJSON(size int) []byte {
	text := make([]byte, 0, size+200)
	text = append(text, '[')
	for n := 0; len(text) < size; n++ {
		if n > 0 {
			text = append(text, ',')
		}
		text = fmt.Appendf(text, `{"id":%d,"name":"item %d","price":%d.99,"tags":["a","b"],"live":true,"note":null}`, n, n, n%100)
	}
	return append(text, ']')
}
