package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/meter"
	"culvert/backend/awslocal/runtime"
)

// How long AWS's services take inside a region, on top of what their stand-ins do: usual
// times, stated because latencies and Lambda's price hang on them.
const (
	invoking = 12 * time.Millisecond // a gateway and Lambda, from a request or message to the function
	posting  = 10 * time.Millisecond // a call of @connections
	reading  = 3 * time.Millisecond  // DynamoDB
	writing  = 5 * time.Millisecond
	getting  = 20 * time.Millisecond // S3
	putting  = 30 * time.Millisecond
)

func (b *bench) services() {
	fmt.Fprintf(b.out, "modelled service times: gateway and Lambda %v, @connections %v, DynamoDB read %v, write %v, S3 GET %v, PUT %v; no network\n",
		invoking, posting, reading, writing, getting, putting)
}

func delay(operation string) time.Duration {
	switch operation {
	case "GetItem", "Query", "Scan":
		return reading
	case "PostToConnection":
		return posting
	case "GetObject":
		return getting
	case "PutObject":
		return putting
	default:
		return writing
	}
}

// slowly is a function behind a gateway that takes its time.
type slowly struct{ runtime.Function }

func (s slowly) Invoke(ctx context.Context, payload []byte) (runtime.Result, error) {
	select {
	case <-time.After(invoking):
		return s.Function.Invoke(ctx, payload)
	case <-ctx.Done():
		return runtime.Result{}, ctx.Err()
	}
}

func designName(naive bool) string {
	if naive {
		return "naive"
	}
	return "culvert"
}

// design measures the workloads on one of the designs.
func (b *bench) design(ctx context.Context, naive bool, all []workload) ([]result, error) {
	var results []result
	for i, w := range all {
		if naive && w.response > maxNaiveBody {
			results = append(results, result{workload: w})
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s, %s (%d of %d)\n", designName(naive), w.name, i+1, len(all))
		r, err := b.measure(ctx, naive, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// measure runs one workload on an account of its own.
func (b *bench) measure(ctx context.Context, naive bool, w workload) (r result, err error) {
	cfg := awslocal.Config{
		Bootstrap: b.bootstrap, Delay: delay, Output: os.Stderr,
		Wrap: func(_ awslocal.Role, f runtime.Function) runtime.Function { return slowly{f} },
	}
	if b.rpm > 0 {
		cfg.Env = map[string]string{"CULVERT_TUNNEL_RPM": strconv.Itoa(b.rpm)}
	}
	if naive {
		cfg.Bootstrap = ""
		cfg.InProcess, cfg.Tables = naiveFunctions(), naiveTables()
	}
	if w.bucket {
		s3 := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
		defer s3.Close()
		if cfg.S3, err = url.Parse(s3.URL); err != nil {
			return r, err
		}
	}
	local, err := awslocal.New(cfg)
	if err != nil {
		return r, err
	}
	if err := local.Start(ctx); err != nil {
		return r, err
	}
	defer local.Close()
	service := httptest.NewServer(serve(w))
	defer service.Close()
	agent, public, err := b.agent(ctx, local.AgentsURL(), service.URL)
	if err != nil {
		return r, err
	}
	defer agent.stop()

	const warm = 6 // requests of each visitor that are not counted: environments start, and dial
	if _, err := b.visit(ctx, public, w, warm); err != nil {
		return r, fmt.Errorf("warming up: %w", err)
	}
	settle(local.Meter()) // what comes after an answer is not the next one's
	before, begun := local.Meter().Usage(), b.processors()
	times, err := b.visit(ctx, public, w, b.requests)
	if err != nil {
		return r, err
	}
	settle(local.Meter())
	used := local.Meter().Usage().Sub(before)
	r = result{workload: w, used: used, requests: len(times), report: used.Per(float64(len(times)), 1e6, meter.USEast1())}
	if !naive {
		r.busy = b.processors()
		for role := range r.busy {
			r.busy[role] = (r.busy[role] - begun[role]) / time.Duration(len(times))
		}
	}
	slices.Sort(times)
	r.p50, r.p99 = times[len(times)/2]-w.wait, times[len(times)*99/100]-w.wait
	fmt.Fprintf(os.Stderr, "%s, %s: $%.2f a million, half of them within %.0f ms more than the service takes\n",
		designName(naive), w.name, r.report.Dollars, ms(r.p50))
	return r, nil
}

// settle waits until nothing more is counted: what the agent's side does after an
// answer costs as well.
func settle(m *meter.Meter) {
	for last := m.Usage(); ; {
		time.Sleep(300 * time.Millisecond)
		now := m.Usage()
		if now == last {
			return
		}
		last = now
	}
}

// serve is the local service.
func serve(w workload) http.Handler {
	body := make([]byte, w.response)
	rand.Read(body)
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(w.wait)
		out.Header().Set("Content-Type", "application/octet-stream")
		out.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = out.Write(body)
	})
}

// visit has all visitors make n requests each, one after the other.
func (b *bench) visit(ctx context.Context, public string, w workload, n int) ([]time.Duration, error) {
	body := make([]byte, w.request)
	rand.Read(body)
	var (
		mu     sync.Mutex
		times  []time.Duration
		failed error
		all    sync.WaitGroup
	)
	for range b.visitors {
		all.Go(func() {
			for range n {
				start := time.Now()
				err := request(ctx, public, body, w.response)
				took := time.Since(start)
				mu.Lock()
				times, failed = append(times, took), errors.Join(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return times, failed
}

func request(ctx context.Context, public string, body []byte, want int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, public+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || len(text) != want {
		return fmt.Errorf("status %d with %d bytes, want 200 with %d: %.200q", answer.StatusCode, len(text), want, text)
	}
	return nil
}

// agent is the command's own, as a process.
type agent struct {
	cmd  *exec.Cmd
	read sync.WaitGroup
	dir  string
}

func (b *bench) agent(ctx context.Context, backend, target string) (a *agent, public string, err error) {
	dir, err := os.MkdirTemp("", "culvert-bench-")
	if err != nil {
		return nil, "", err
	}
	a = &agent{cmd: exec.Command(b.culvert, "http", target, "--backend", backend, "--json", "--config", dir), dir: dir}
	a.cmd.Stderr = os.Stderr
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, "", err
	}
	online := make(chan string, 1)
	a.read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var event struct {
				Event string `json:"event"`
				URL   string `json:"path_based_url"`
			}
			if json.Unmarshal(lines.Bytes(), &event) == nil && event.Event == "online" {
				select {
				case online <- event.URL:
				default:
				}
			}
		}
	})
	select {
	case public = <-online:
		return a, public, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(30 * time.Second):
		err = errors.New("the agent does not get online")
	}
	a.stop()
	return nil, "", err
}

func (a *agent) stop() {
	_ = a.cmd.Process.Signal(os.Interrupt)
	a.read.Wait()
	_ = a.cmd.Wait()
	_ = os.RemoveAll(a.dir)
}
