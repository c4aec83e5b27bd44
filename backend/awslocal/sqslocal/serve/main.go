// Serve runs ElasticMQ until a signal ends it: `make sqs` is a queue server to try
// notices with, beside `culvert aws-local --sqs`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"culvert/backend/awslocal/sqslocal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run gives the exit code: 0 when ctx has ended it, 1 when something else has, 2 about
// how it was called.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	port := flags.Int("port", 9324, "listen on this port of 127.0.0.1; 0 is a free one")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 || *port < 0 || *port > 65535 {
		fmt.Fprintln(stderr, "serve: want at most -port, from 0 to 65535")
		return 2
	}
	server, err := sqslocal.Start(ctx, sqslocal.Config{Port: *port, Output: stderr})
	if ctx.Err() != nil {
		if err == nil {
			server.Close()
		}
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "serve:", err)
		return 1
	}
	defer server.Close()
	fmt.Fprintf(stdout, "ElasticMQ is ready at %s\n", server.Endpoint())
	select {
	case <-ctx.Done():
		return 0
	case <-server.Exited():
		fmt.Fprintln(stderr, "serve:", server.Err())
		return 1
	}
}
