//go:build unix

package control

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"culvert/app/capture"
	"culvert/app/config"
	"culvert/app/console"
	"culvert/app/engine"
	"culvert/app/forwarder"
	"culvert/app/target"
	"culvert/backend/wire"
)

// BenchmarkCapture tells what the request log adds to the CPU time of the forwarder:
//
//	go test -run '^$' -bench Capture ./app/ui/control
//
// Forwarders in processes of their own have a local service, in another process, answer
// the requests of 16 visitors at a time, in turns: one without a log, one with that of
// culvert http --json, one with a recorder that keeps bodies for nobody, one with what
// the window keeps in memory, and one with the history on disk besides. What is reported
// are the medians of many rounds: the CPU time of a request without a log, and by how
// much of that each of the others takes more.
//
// In a flood, requests come as fast as they are served, for so long that the log takes
// no more of them than it does for ever: what is left out of it, or of which the bodies
// are, is the other figure. In a burst, it takes all of them, and a turn lasts until they
// are on disk.
func BenchmarkCapture(b *testing.B) {
	for _, pace := range []string{"flood", "burst"} {
		for _, size := range []int{200, 100 << 10} {
			b.Run(fmt.Sprintf("%s/bytes=%d", pace, size), func(b *testing.B) { benchmarkCapture(b, pace, size) })
		}
	}
}

// rounds is how many there are, and warm those before them that do not count: the
// window's list is full then.
const (
	rounds = 9
	warm   = 3
)

func benchmarkCapture(b *testing.B, pace string, size int) {
	_, addr := startBenchChild(b, fmt.Sprintf("service %d", size))
	var modes []*benchMode
	for _, name := range []string{"off", "json", "bodies", "window", "history"} {
		m := &benchMode{name: name}
		m.child, _ = startBenchChild(b, fmt.Sprintf("%s %d %s %s", name, size, addr, pace))
		for range warm {
			m.turn(b)
		}
		m.cpu, m.left = nil, nil
		modes = append(modes, m)
	}
	for range b.N {
		for i := range rounds {
			for k := range modes {
				modes[(i+k)%len(modes)].turn(b)
			}
		}
	}
	off := modes[0].cpu
	for _, m := range modes[1:] {
		more := make([]float64, len(off))
		for i := range off {
			more[i] = 100 * (m.cpu[i] - off[i]) / off[i]
		}
		b.ReportMetric(median(more), m.name+"-%")
		if left := median(m.left); left > 0 {
			b.ReportMetric(left, m.name+"-left-out-%")
		}
	}
	b.ReportMetric(median(off), "off-cpu-µs/request")
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// benchMode is one way to keep a log, or none, in a process of its own.
type benchMode struct {
	name  string
	child *benchChild
	cpu   []float64 // µs for each request, a figure for each turn
	left  []float64 // % of the requests that are not in the log, or without their bodies
}

func (m *benchMode) turn(b *testing.B) {
	var cpu, left float64
	if _, err := fmt.Sscan(m.child.ask(b, "turn"), &cpu, &left); err != nil {
		b.Fatal(err)
	}
	m.cpu, m.left = append(m.cpu, cpu), append(m.left, left)
}

// captureMode is a forwarder and what keeps its log.
type captureMode struct {
	cfg   *capture.Config // nil for none
	flush func()          // waits until what was delivered is on disk; may be nil

	flood   bool
	size    int // of an answer
	forward *forwarder.Forwarder
	room    chan struct{} // for requests that are not in the log yet
	dropped atomic.Int64
}

func bodiesMode() *captureMode {
	return &captureMode{cfg: &capture.Config{
		Bodies: true, OnExchange: func(*capture.Exchange) {}, OnStream: func(*capture.Stream) {},
	}}
}

func jsonMode(b testing.TB) *captureMode {
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	view := console.NewJSON(out, "3000", nil)
	b.Cleanup(func() { view.Lines().Close(context.Background()); out.Close() })
	return &captureMode{cfg: &capture.Config{
		OnExchange: func(x *capture.Exchange) { view.Show(engine.RequestDone{Exchange: x}) },
	}}
}

func windowMode(b testing.TB, disk bool) *captureMode {
	folder := b.TempDir()
	dir, err := config.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	m := &captureMode{}
	if err := dir.Edit(func(c *config.Config) error { c.History.Enabled = disk; return nil }); err != nil {
		b.Fatal(err)
	}
	h := moveIn(b, folder, Config{})
	key, err := h.Open(b.Context(), "9", false)
	if err != nil {
		b.Fatal(err)
	}
	t := h.engine.Tunnel(key)
	if disk {
		db, err := h.past.opened(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		m.flush = func() {
			if err := db.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	m.cfg = &capture.Config{ // as package engine has it
		Bodies: true, Rate: engine.LogRate, BodyRate: engine.LogBodyRate,
		OnExchange: func(x *capture.Exchange) { h.OnEvent(engine.RequestDone{Tunnel: t, Exchange: x}) },
		OnStream:   func(s *capture.Stream) { h.OnEvent(engine.StreamOpened{Tunnel: t, Stream: s}) },
	}
	return m
}

// turn is how many requests there are in one, and queued how many of them may wait for
// the log, whose queue is not to overflow.
const (
	turn   = 4096
	queued = 512
)

func (m *captureMode) open(b testing.TB, addr string, size int, flood bool) {
	to, err := target.Parse(addr)
	if err != nil {
		b.Fatal(err)
	}
	cfg := forwarder.Config{Target: to}
	m.size, m.flood = size, flood
	m.room = make(chan struct{}, queued)
	if m.cfg != nil {
		if !m.flood {
			m.cfg.Rate, m.cfg.BodyRate = 0, 0
		}
		keep := m.cfg.OnExchange
		m.cfg.OnExchange = func(x *capture.Exchange) {
			if x.Dropped() {
				m.dropped.Add(1)
			}
			keep(x)
			<-m.room
		}
		m.cfg.OnDropped = func(n int) {
			m.dropped.Add(int64(n))
			for range n {
				<-m.room
			}
		}
		if cfg.Recorder, err = capture.New(*m.cfg); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(cfg.Recorder.Close)
	}
	if m.forward, err = forwarder.New(cfg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.forward.Close)
}

// turn gives the CPU time of one request of many, in µs, and how many % of them are not
// in the log.
func (m *captureMode) turn(b testing.TB) (cpu, left float64) {
	m.dropped.Store(0)
	if m.flush != nil {
		m.flush()
	}
	for m.flood && m.dropped.Load() == 0 && m.cfg != nil && m.cfg.Rate > 0 && !b.Failed() {
		m.serve(b, turn) // the burst before
		m.deliver()
	}
	lost := m.dropped.Load()
	before := cpuTime(b)
	m.serve(b, turn)
	m.deliver()
	if m.flush != nil && !m.flood {
		m.flush()
	}
	spent := cpuTime(b) - before
	lost = m.dropped.Load() - lost
	return float64(spent.Nanoseconds()) / 1e3 / turn, 100 * float64(lost) / turn
}

// deliver waits until the log has got, or left out, all that was served.
func (m *captureMode) deliver() {
	for range queued {
		m.room <- struct{}{}
	}
	for range queued {
		<-m.room
	}
}

// serve serves n requests of 16 visitors at a time.
func (m *captureMode) serve(b testing.TB, n int64) {
	var wg sync.WaitGroup
	var made atomic.Int64
	for range 16 {
		wg.Go(func() {
			for made.Add(1) <= n {
				m.room <- struct{}{}
				x := &benchVisit{head: benchHead()}
				if m.forward.Serve(x); x.bytes != m.size {
					b.Errorf("%d bytes, reset: %s", x.bytes, x.reset)
				}
				if m.cfg == nil {
					<-m.room
				}
			}
		})
	}
	wg.Wait()
}

// cpuTime is what this process has used so far.
func cpuTime(b testing.TB) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// benchHead is a browser's request, as it comes out of a link: nobody else has it.
func benchHead() wire.RequestHead {
	return wire.RequestHead{
		Method: http.MethodGet, Target: "/v1/items?page=2&sort=asc", Host: "shop.example.com", RemoteAddr: "203.0.113.9",
		Header: http.Header{
			"Accept":            {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			"Accept-Encoding":   {"gzip, deflate, br, zstd"},
			"Accept-Language":   {"en-GB,en;q=0.5"},
			"User-Agent":        {"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"},
			"Sec-Fetch-Dest":    {"document"},
			"Sec-Fetch-Mode":    {"navigate"},
			"Sec-Fetch-Site":    {"none"},
			"X-Forwarded-For":   {"203.0.113.9"},
			"X-Forwarded-Host":  {"shop.example.com"},
			"X-Forwarded-Proto": {"https"},
		},
	}
}

// benchVisit is a visitor who costs nothing.
type benchVisit struct {
	head  wire.RequestHead
	bytes int
	reset string
}

func (v *benchVisit) ID() string                               { return "0123456789-1" }
func (v *benchVisit) Request() *wire.RequestHead               { return &v.head }
func (v *benchVisit) RequestTrailer() http.Header              { return nil }
func (v *benchVisit) Context() context.Context                 { return context.Background() }
func (v *benchVisit) Read([]byte) (int, error)                 { return 0, io.EOF }
func (v *benchVisit) WriteHead(*wire.ResponseHead, bool) error { return nil }
func (v *benchVisit) Write(p []byte) (int, error)              { v.bytes += len(p); return len(p), nil }
func (v *benchVisit) WriteLast(p []byte) (int, error)          { return v.Write(p) }
func (v *benchVisit) CloseWrite(http.Header) error             { return nil }
func (v *benchVisit) Reset(_ wire.ResetCode, message string)   { v.reset = message }

// benchChildVariable makes this test program a part of BenchmarkCapture.
const benchChildVariable = "CULVERT_BENCH_CHILD"

// benchChild is such a process: it answers lines with lines.
type benchChild struct {
	in  io.Writer
	out *bufio.Reader
}

// startBenchChild starts one, and gives the line that it begins with.
func startBenchChild(b *testing.B, what string) (c *benchChild, hello string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBenchChild$")
	cmd.Env = append(os.Environ(), benchChildVariable+"="+what)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close() // ends it
		io.Copy(io.Discard, out)
		cmd.Wait()
	})
	c = &benchChild{in, bufio.NewReader(out)}
	return c, c.line(b)
}

func (c *benchChild) ask(b *testing.B, what string) (answer string) {
	fmt.Fprintln(c.in, what)
	return c.line(b)
}

func (c *benchChild) line(b *testing.B) string {
	line, err := c.out.ReadString('\n')
	if err != nil {
		b.Fatalf("a process of the benchmark ended, having said %q: %v", line, err)
	}
	return strings.TrimSpace(line)
}

// TestBenchChild is a part of BenchmarkCapture, until its input ends.
func TestBenchChild(t *testing.T) {
	var mode, addr, pace string
	var size int
	if fmt.Sscan(os.Getenv(benchChildVariable), &mode, &size, &addr, &pace); size == 0 {
		t.Skip("for BenchmarkCapture only")
	}
	if mode == "service" {
		fmt.Println(benchService(t, size))
		io.Copy(io.Discard, os.Stdin)
		return
	}
	m := map[string]func() *captureMode{
		"off":     func() *captureMode { return &captureMode{} },
		"json":    func() *captureMode { return jsonMode(t) },
		"bodies":  bodiesMode,
		"window":  func() *captureMode { return windowMode(t, false) },
		"history": func() *captureMode { return windowMode(t, true) },
	}[mode]()
	m.open(t, addr, size, pace == "flood")
	fmt.Println("ready")
	for turns := bufio.NewScanner(os.Stdin); turns.Scan() && !t.Failed(); {
		fmt.Println(m.turn(t))
	}
}

// benchService answers every read; it gives its address.
func benchService(t *testing.T, size int) string {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nServer: bench\r\n"+
		"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n", size)
	body := append([]byte("["), bytes.Repeat([]byte(`{"id":12345,"name":"A name of some length","price":9.95},`), size/50)...)
	answer = append(answer, body[:size]...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for seen := make([]byte, 4<<10); ; {
					if _, err := c.Read(seen); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}
