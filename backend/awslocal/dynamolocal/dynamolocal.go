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
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"culvert/backend/awslocal/program"
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
	name         = "DynamoDB Local"
	minJava      = 17
	startTimeout = 60 * time.Second
	fetchTimeout = 5 * time.Minute
	defaultHeap  = 256
	minHeap      = 64
)

// Server is a running DynamoDB Local.
type Server struct {
	*program.Process
	endpoint string
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
	said := new(program.Tail)
	cmd.Stdout, cmd.Stderr = said, said
	process, err := program.Start(name, cmd, said)
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, endpoint, process.HasExited); err != nil {
		process.Close()
		return nil, fmt.Errorf("%w%s", err, said.Quote())
	}
	return &Server{process, endpoint}, nil
}

// Endpoint is the URL for SDKs.
func (s *Server) Endpoint() string { return s.endpoint }

func (c Config) withDefaults() (Config, error) {
	var err error
	if c.Cache, err = program.CacheDir(c.Cache, "dynamodb-local"); err != nil {
		return c, err
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
	if java, err = program.FindJava(ctx, name, minJava); err != nil {
		return "", "", nil, err
	}
	if dir, err = Fetch(ctx, c.Cache, c.Output); err != nil {
		return "", "", nil, err
	}
	unlock, err = program.Lock(ctx, filepath.Join(c.Cache, "start.lock"))
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
	// Where the port is somebody else's, that one may never answer.
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
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
