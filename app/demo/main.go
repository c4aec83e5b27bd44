// Demo shows Culvert at work where there is no display: it starts a sample
// local service, opens a tunnel to it with the real culvert command and the
// relay built into that, visits the public URL and shows the line which the
// visit left in the log. It is what `make run` runs on such a machine and is
// not shipped.
//
// On a terminal the tunnel then stays open until Ctrl-C; otherwise the demo
// ends by itself, and with exit code 1 if any of this did not happen.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PATH_OF_CULVERT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stay := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	if err := run(ctx, os.Stdout, os.Args[1], stay); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run plays the demo. With stay it leaves the tunnel open until ctx ends.
func run(ctx context.Context, out io.Writer, culvert string, stay bool) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the sample service: %w", err)
	}
	service := &http.Server{Handler: http.HandlerFunc(greet), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- service.Serve(ln) }()
	defer func() {
		service.Close()
		<-served
	}()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return fmt.Errorf("start the sample service: %w", err)
	}
	fmt.Fprintf(out, "\n1. A local service of yours listens on port %s.\n", port)

	// A config folder of its own: the demo leaves nothing behind.
	dir, err := os.MkdirTemp("", "culvert-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(out, "\n2. A tunnel to it, through the relay that is built in:\n   $ %s http %s\n", culvert, port)
	t, err := open(ctx, culvert, port, dir, out)
	if err != nil {
		return err
	}
	defer t.close()
	base, err := t.wait("a public URL", regexp.MustCompile(`public URL +(http\S+)`))
	if err != nil {
		return err
	}
	if _, err := t.wait("where it leads to", regexp.MustCompile(`leads to +(http\S+)`)); err != nil {
		return err
	}

	url := base + "/hello"
	fmt.Fprintf(out, "\n3. A visitor asks the public URL:\n   GET %s\n", url)
	answer, err := visit(ctx, url)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "   %s\n", answer)

	fmt.Fprintf(out, "\n4. The line that this left in the log:\n")
	if _, err := t.wait("the request", regexp.MustCompile(`GET +(/hello) +200 `)); err != nil {
		return err
	}
	if stay {
		fmt.Fprintf(out, "\nThe tunnel stays open: try the URL yourself. Ctrl-C ends it.\n")
		t.follow(ctx)
	}
	if err := t.close(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nNow with a service of your own, on port 3000 say: %s http 3000\n", culvert)
	return nil
}

// greet is the whole sample service.
func greet(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Hello from the local service. You asked for %s.\n", r.RequestURI)
}

// visit fetches url as a visitor from outside would and returns what came back.
func visit(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("visit the public URL: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("visit the public URL: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return "", fmt.Errorf("visit the public URL: %w", err)
	}
	answer := resp.Status + ": " + strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("visit the public URL: answered %s", answer)
	}
	return answer, nil
}
