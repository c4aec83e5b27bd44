// Package sqslocal brings ElasticMQ, a server that speaks SQS: it fetches the program
// once, starts it in memory, says when it is ready and stops it.
//
// Why ElasticMQ (org.elasticmq:elasticmq-server_2.13 at Maven Central): it is a queue
// server of its own and no list of canned answers, with what event source mappings
// depend on: visibility timeouts, long polls, batches whose entries fail one by one, and
// redrive policies that it applies itself. It takes the limits of SQS, speaks its JSON
// protocol, and needs nothing but the Java that DynamoDB Local needs already.
// Its licence (Apache 2.0) would allow to pass it on; it is fetched all the same, as
// 37 MB of it are of use to developers only.
package sqslocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"culvert/backend/awslocal/program"
)

// Config says how to start ElasticMQ. The zero value works.
type Config struct {
	// Cache is the folder in which the program is kept, or put if it is not there.
	// Empty: culvert/elasticmq in the user's cache folder.
	Cache string
	// Output is told the licence and the progress of a download, a line at a time.
	// Nil: nobody is.
	Output io.Writer
	// HeapMB bounds the memory of the Java heap. 0: 128.
	HeapMB int
	// Port of 127.0.0.1 to listen on. 0: a free one.
	Port int
	// Region and Account are parts of the queues' ARNs, and Account of their URLs. By
	// default us-east-1 and 123456789012.
	Region, Account string
}

const (
	name         = "ElasticMQ"
	minJava      = 11
	startTimeout = 60 * time.Second
	defaultHeap  = 128
	minHeap      = 48
)

// Server is a running ElasticMQ.
type Server struct {
	*program.Process
	endpoint string
}

// Endpoint is the URL for SDKs.
func (s *Server) Endpoint() string { return s.endpoint }

// Start fetches ElasticMQ if it is not in the cache, starts it and returns when it
// answers. The context bounds the start, not the life: end that with Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cmd, err := cfg.command(ctx)
	if err != nil {
		return nil, err
	}
	told := make(chan string, 1)
	if cfg.Port != 0 {
		// Of a port that is taken the program says nothing, and waits for ever.
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		ln.Close()
	}
	said := &log{told: told}
	cmd.Stdout, cmd.Stderr = said, said
	process, err := program.Start(name, cmd, &said.Tail)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("%s does not answer within %v", name, startTimeout))
	defer cancel()
	select {
	case endpoint := <-told:
		return &Server{process, endpoint}, nil
	case <-process.Exited():
		return nil, fmt.Errorf("%w%s", errEnded, said.Quote())
	case <-ctx.Done():
		process.Close()
		return nil, context.Cause(ctx)
	}
}

var errEnded = errors.New(name + " ended at its start")

// log is what the program says, of which one line tells where it listens: it chooses a
// free port itself, if it may, so nobody can take that first.
type log struct {
	program.Tail
	begun []byte // of the line that has no end yet
	told  chan string
}

// Write never fails. One goroutine writes.
func (l *log) Write(p []byte) (int, error) {
	if l.told != nil {
		l.begun = append(l.begun, p...)
		if m := listening.FindSubmatch(l.begun); m != nil {
			l.told <- "http://" + string(m[1])
			l.told, l.begun = nil, nil
		} else if i := bytes.LastIndexByte(l.begun, '\n'); i >= 0 || len(l.begun) > maxLine {
			l.begun = append(l.begun[:0], l.begun[i+1:]...)
		}
	}
	return l.Tail.Write(p)
}

const maxLine = 64 << 10

// listening is the line, such as: … Started SQS rest server, bind address 127.0.0.1:40123, visible …
var listening = regexp.MustCompile(`Started SQS rest server, bind address (127\.0\.0\.1:[0-9]+),`)

// command is the program, fetched if need be.
func (c Config) command(ctx context.Context) (*exec.Cmd, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	java, err := program.FindJava(ctx, name, minJava)
	if err != nil {
		return nil, err
	}
	dir, err := Fetch(ctx, c.Cache, c.Output)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(java,
		// A small heap, and neither the collector nor the compiler for big machines: a
		// start takes half of the time.
		"-Xmx"+strconv.Itoa(c.HeapMB)+"m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Drest-sqs.bind-hostname=127.0.0.1", "-Drest-sqs.bind-port="+strconv.Itoa(c.Port), "-Dgenerate-node-address=true",
		"-Drest-sqs.sqs-limits=strict", "-Drest-stats.enabled=false",
		"-Daws.region="+c.Region, "-Daws.accountId="+c.Account,
		"-cp", filepath.Join(dir, "*"), "org.elasticmq.server.Main")
	cmd.Dir = dir
	return cmd, nil
}

var (
	validRegion  = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	validAccount = regexp.MustCompile(`^[0-9]{12}$`)
)

func (c Config) withDefaults() (Config, error) {
	var err error
	if c.Cache, err = program.CacheDir(c.Cache, "elasticmq"); err != nil {
		return c, err
	}
	if c.HeapMB == 0 {
		c.HeapMB = defaultHeap
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Account == "" {
		c.Account = "123456789012"
	}
	switch {
	case c.HeapMB < minHeap:
		return c, fmt.Errorf("a heap of %d MB is too little for %s: want %d or more", c.HeapMB, name, minHeap)
	case c.Port < 0 || c.Port > 65535:
		return c, fmt.Errorf("%d is no port from 1 to 65535", c.Port)
	case !validRegion.MatchString(c.Region):
		return c, fmt.Errorf("%q is no region such as us-east-1", c.Region)
	case !validAccount.MatchString(c.Account):
		return c, fmt.Errorf("%q is no account's number of 12 digits", c.Account)
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
	return c, nil
}
