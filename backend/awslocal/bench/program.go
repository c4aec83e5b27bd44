package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// program tells the size of the functions' program, and how long it takes from its
// start to asking for its first invocation.
func (b *bench) program(ctx context.Context) error {
	info, err := os.Stat(b.bootstrap)
	if err != nil {
		return fmt.Errorf("the functions' program is missing: make bootstrap builds it (%w)", err)
	}
	var times []time.Duration
	for range 11 {
		took, err := b.start(ctx)
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	slices.Sort(times)
	fmt.Fprintf(b.out, "bootstrap: %.1f MB, %.0f ms from start to the first invocation (median of %d, slowest %.0f ms)\n",
		float64(info.Size())/1e6, ms(times[len(times)/2]), len(times), ms(times[len(times)-1]))
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// start starts the program against a runtime API that has no work for it.
func (b *bench) start(ctx context.Context) (time.Duration, error) {
	asked := make(chan struct{}, 1)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/invocation/next") {
			select {
			case asked <- struct{}{}:
			default:
			}
		}
		<-r.Context().Done()
	}))
	defer api.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.bootstrap)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_LAMBDA_FUNCTION_NAME=public",
		"CULVERT_ROLE=public", "CULVERT_TUNNELS_TABLE=tunnels", "CULVERT_ANSWERS_TABLE=answers", "CULVERT_KEYS_PARAMETER=/keys",
		"CULVERT_AGENTS_API=http://127.0.0.1:9/live", "CULVERT_WAITERS_URL=ws://127.0.0.1:9/live", "CULVERT_PUBLIC_URL=http://127.0.0.1:9",
	}
	cmd.Stderr = os.Stderr
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	select {
	case <-asked:
		return time.Since(begun), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("bootstrap does not ask for invocations: %w", ctx.Err())
	}
}
