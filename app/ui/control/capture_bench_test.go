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
	"runtime"
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
//	go test -run '^$' -bench Capture -benchtime 10x ./app/ui/control
//
// A local service in a process of its own answers the requests of 16 visitors at a
// time. Every round asks it as often without a log, with the one of culvert http --json,
// with a recorder that keeps bodies, with what the window keeps in memory, and with the
// history on disk besides. What is reported are the medians of the rounds: CPU time
// without a log, and by how much of that each of the others takes more. A turn lasts
// until all of its log is delivered and written, and fails if some of that was left out.
func BenchmarkCapture(b *testing.B) {
	for _, size := range []int{200, 100 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) { benchmarkCapture(b, size) })
	}
}

func benchmarkCapture(b *testing.B, size int) {
	addr := startBenchService(b, size)
	modes := []*captureMode{{name: "off"}, jsonMode(b), bodiesMode(), windowMode(b, false), windowMode(b, true)}
	for _, m := range modes {
		m.open(b, addr, size)
		m.turn(b) // dials, fills pools
	}
	for i := 0; b.Loop(); i++ {
		for k := range modes {
			m := modes[(i+k)%len(modes)]
			m.cpu = append(m.cpu, m.turn(b))
		}
	}
	off := modes[0].cpu
	for _, m := range modes[1:] {
		ratios := make([]float64, len(off))
		for i, cpu := range m.cpu[len(m.cpu)-len(off):] {
			ratios[i] = 100 * (cpu - off[i]) / off[i]
		}
		b.ReportMetric(median(ratios), m.name+"-%")
	}
	b.ReportMetric(median(off), "off-cpu-µs/request")
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// captureMode is one way to keep a log, or none.
type captureMode struct {
	name   string
	cfg    *capture.Config // nil for none
	settle func()          // waits until what was delivered is where it belongs; may be nil

	size    int // of an answer
	forward *forwarder.Forwarder
	room    chan struct{} // for requests that are not in the log yet
	dropped atomic.Int64
	cpu     []float64 // µs for each request, a figure for each turn
}

func bodiesMode() *captureMode {
	return &captureMode{name: "bodies", cfg: &capture.Config{
		Bodies: true, OnExchange: func(*capture.Exchange) {}, OnStream: func(*capture.Stream) {},
	}}
}

func jsonMode(b *testing.B) *captureMode {
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	view := console.NewJSON(out, "3000", nil)
	b.Cleanup(func() { view.Lines().Close(context.Background()); out.Close() })
	return &captureMode{name: "json", cfg: &capture.Config{
		OnExchange: func(x *capture.Exchange) { view.Show(engine.RequestDone{Exchange: x}) },
	}}
}

func windowMode(b *testing.B, disk bool) *captureMode {
	folder := b.TempDir()
	dir, err := config.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	m := &captureMode{name: "window"}
	if disk {
		m.name = "window+history"
	} else if err := dir.Edit(func(c *config.Config) error { c.History.Enabled = false; return nil }); err != nil {
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
		m.settle = func() {
			if err := db.Flush(b.Context()); err != nil || db.Dropped() > 0 {
				b.Fatalf("%d exchanges were not stored: %v", db.Dropped(), err)
			}
		}
	}
	m.cfg = &capture.Config{ // as package engine has it
		Bodies:     true,
		OnExchange: func(x *capture.Exchange) { h.OnEvent(engine.RequestDone{Tunnel: t, Exchange: x}) },
		OnStream:   func(s *capture.Stream) { h.OnEvent(engine.StreamOpened{Tunnel: t, Stream: s}) },
	}
	return m
}

// requests is how many there are in a turn, and at most in the log's queue: neither that
// nor the history's may overflow.
func (m *captureMode) requests() (turn, queued int) {
	if m.size > 10<<10 {
		return 512, 128
	}
	return 4096, 512
}

func (m *captureMode) open(b *testing.B, addr string, size int) {
	to, err := target.Parse(addr)
	if err != nil {
		b.Fatal(err)
	}
	cfg := forwarder.Config{Target: to}
	m.size = size
	_, queued := m.requests()
	m.room = make(chan struct{}, queued)
	if m.cfg != nil {
		keep := m.cfg.OnExchange
		m.cfg.OnExchange = func(x *capture.Exchange) {
			if x.Dropped() {
				m.dropped.Add(1)
			}
			keep(x)
			<-m.room
		}
		m.cfg.OnDropped = func(n int) { m.dropped.Add(int64(n)) }
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

// turn gives the CPU time of one request of many.
func (m *captureMode) turn(b *testing.B) float64 {
	runtime.GC() // what others have left behind
	before := cpuTime(b)
	var wg sync.WaitGroup
	var made atomic.Int64
	turn, queued := m.requests()
	for range 16 {
		wg.Go(func() {
			for made.Add(1) <= int64(turn) {
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
	for range queued { // all is delivered
		m.room <- struct{}{}
	}
	for range queued {
		<-m.room
	}
	if m.settle != nil {
		m.settle()
	}
	if n := m.dropped.Load(); n > 0 || b.Failed() {
		b.Fatalf("%s: %d records or bodies were dropped", m.name, n)
	}
	return float64((cpuTime(b) - before).Nanoseconds()) / 1e3 / float64(turn)
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
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

// benchServiceVariable makes this test program the local service of BenchmarkCapture,
// whose answers have so many bytes.
const benchServiceVariable = "CULVERT_BENCH_SERVICE"

func startBenchService(b *testing.B, size int) string {
	b.Helper()
	service := exec.CommandContext(b.Context(), os.Args[0], "-test.run", "^TestBenchService$")
	service.Env = append(os.Environ(), fmt.Sprintf("%s=%d", benchServiceVariable, size))
	out, err := service.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := service.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { service.Process.Kill(); service.Wait() })
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

// TestBenchService is the local service of BenchmarkCapture, until it is killed.
func TestBenchService(t *testing.T) {
	var size int
	if fmt.Sscan(os.Getenv(benchServiceVariable), &size); size == 0 {
		t.Skip("for BenchmarkCapture only")
	}
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nServer: bench\r\n"+
		"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n", size)
	items := bytes.Repeat([]byte(`{"id":12345,"name":"A name of some length","price":9.95},`), size/57+1)
	items = append([]byte{'['}, items...)
	answer = append(answer, items[:size]...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
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
}
