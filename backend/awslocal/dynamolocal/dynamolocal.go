// Package dynamolocal brings DynamoDB Local, the one part of the local AWS that
// is Amazon's own: it fetches the program once, starts it in memory, says when it
// is ready and stops it.
//
// DynamoDB Local may not be passed on, so Culvert does not contain it: whoever
// uses it gets it from Amazon's own package, under Amazon's licence, the first
// time it is needed (see Fetch).
//
// The program cannot be told an address, only a port: it listens on every
// interface. Nothing checks a signature there either. What it keeps is therefore
// separate for each access key ID: give an unguessable one, and strangers on the
// same network find an empty database (see Config.Shared).
package dynamolocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config says how to start DynamoDB Local. The zero value works.
type Config struct {
	// Cache is the folder in which the program is kept, or put if it is not there.
	// Empty: culvert/dynamodb-local in the user's cache folder.
	Cache string
	// Output is told the licence and the progress of a download, a line at a
	// time. Nil: nobody is.
	Output io.Writer
	// HeapMB bounds the memory of the Java heap. 0: 256.
	HeapMB int
	// Shared makes one database for all, whatever their access key ID and region.
	// Otherwise each pair of these has tables of its own.
	Shared bool

	port func() (int, error) // for tests; nil: freePort
}

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 5 * time.Second
	defaultHeap  = 256
	minHeap      = 64
)

// Server is a running DynamoDB Local.
type Server struct {
	endpoint string
	cmd      *exec.Cmd
	output   *tail
	stop     sync.Once
	exited   chan struct{} // closed once the process has ended
	err      error         // how, when it was not Close; valid then
	closing  chan struct{}
}

// Start fetches DynamoDB Local if it is not in the cache, starts it and returns
// when it answers. The context bounds the start, not the life: end that with
// Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	java, dir, unlock, err := cfg.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range ports - 1 {
		s, err := cfg.startOnce(ctx, java, dir)
		// Between the look for a free port and its use, somebody else may take it: any
		// connection that goes out does.
		if err == nil || !strings.Contains(err.Error(), portTaken) {
			return s, err
		}
	}
	return cfg.startOnce(ctx, java, dir)
}

const (
	ports     = 4 // that are tried
	portTaken = "Address already in use"
)

func (c Config) startOnce(ctx context.Context, java, dir string) (*Server, error) {
	if c.port == nil {
		c.port = freePort
	}
	port, err := c.port()
	if err != nil {
		return nil, err
	}
	cmd, endpoint := c.command(java, dir, port)
	s := &Server{endpoint: endpoint, cmd: cmd, output: new(tail), exited: make(chan struct{}), closing: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if err := startTied(cmd); err != nil {
		return nil, fmt.Errorf("starting DynamoDB Local: %w", err)
	}
	go s.wait()
	if err := ready(ctx, endpoint, s.hasExited); err != nil {
		s.Close()
		return nil, fmt.Errorf("%w%s", err, s.output.quote())
	}
	return s, nil
}

// Endpoint is the URL for SDKs.
func (s *Server) Endpoint() string { return s.endpoint }

// Exited is closed when the program has ended, by Close or by itself.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Err says how the program ended by itself, once Exited is closed.
func (s *Server) Err() error {
	select {
	case <-s.exited:
		return s.err
	default:
		return nil
	}
}

// Close stops the program and waits for its end. What it held is gone.
func (s *Server) Close() {
	s.stop.Do(func() {
		close(s.closing)
		askToStop(s.cmd.Process)
		select {
		case <-s.exited:
		case <-time.After(stopTimeout):
			s.cmd.Process.Kill()
		}
	})
	<-s.exited
}

// Kill ends the program at once, as if it had crashed.
func (s *Server) Kill() { s.cmd.Process.Kill() }

func (s *Server) wait() {
	err := s.cmd.Wait()
	select {
	case <-s.closing:
	default:
		s.err = fmt.Errorf("DynamoDB Local has ended (%s)%s", exitText(err), s.output.quote())
	}
	close(s.exited)
}

func (s *Server) hasExited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func (c Config) withDefaults() (Config, error) {
	if c.Cache == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("no folder to keep DynamoDB Local in: %w", err)
		}
		c.Cache = filepath.Join(cache, "culvert", "dynamodb-local")
	}
	var err error
	if c.Cache, err = filepath.Abs(c.Cache); err != nil {
		return c, fmt.Errorf("no folder to keep DynamoDB Local in: %w", err)
	}
	if c.HeapMB == 0 {
		c.HeapMB = defaultHeap
	}
	if c.HeapMB < minHeap {
		return c, fmt.Errorf("a heap of %d MB is too little for DynamoDB Local: want %d or more", c.HeapMB, minHeap)
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
	return c, nil
}

// prepare returns what is needed for a start. Until the program listens the caller
// must not unlock: a free port is only known to be free until somebody else looks for
// one, so one start goes at a time in all processes.
func (c *Config) prepare(ctx context.Context) (java, dir string, unlock func(), err error) {
	if *c, err = c.withDefaults(); err != nil {
		return "", "", nil, err
	}
	if java, err = findJava(ctx); err != nil {
		return "", "", nil, err
	}
	if dir, err = Fetch(ctx, c.Cache, c.Output); err != nil {
		return "", "", nil, err
	}
	unlock, err = lock(ctx, filepath.Join(c.Cache, "start.lock"))
	return java, dir, unlock, err
}

// command is the program in dir, to listen on a port, and the URL that it then has.
func (c Config) command(java, dir string, port int) (cmd *exec.Cmd, endpoint string) {
	args := []string{
		// A small heap, and neither the collector nor the compiler for big
		// machines: a start takes two thirds of the time.
		"-Xmx" + strconv.Itoa(c.HeapMB) + "m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar",
		"-inMemory", "-disableTelemetry", "-port", strconv.Itoa(port),
	}
	if c.Shared {
		args = append(args, "-sharedDb")
	}
	cmd = exec.Command(java, args...)
	cmd.Dir = dir
	return cmd, "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

var errEnded = errors.New("DynamoDB Local ended at its start")

// freePort finds a port that nobody listens on, on any interface, as the program
// will.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		return 0, fmt.Errorf("finding a port for DynamoDB Local: %w", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// ready waits for an answer that only DynamoDB gives. Without a signature that
// is an error with a request ID.
func ready(ctx context.Context, endpoint string, exited func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("DynamoDB Local does not answer within %v", startTimeout))
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		if answer, err := client.Do(req); err == nil {
			answer.Body.Close()
			if answer.Header.Get("X-Amzn-Requestid") != "" {
				return nil
			}
		}
		if exited() {
			return errEnded
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(30 * time.Millisecond):
		}
	}
}
