// Command function is the program that the tests of package runtime run as a Lambda
// function. The payload's action says what it does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type request struct {
	Action string `json:"action"`
	Text   string `json:"text"`
	Size   int    `json:"size"`
	URL    string `json:"url"`
}

var ticks, invocations atomic.Int64

func main() {
	switch os.Getenv("START") {
	case "exit":
		os.Exit(3)
	case "hang":
		select {}
	}
	go func() {
		for range time.Tick(time.Millisecond) {
			ticks.Add(1)
		}
	}()
	lambda.Start(handle)
}

func handle(ctx context.Context, raw json.RawMessage) (any, error) {
	n := invocations.Add(1)
	var r request
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	switch r.Action {
	case "echo":
		return raw, nil
	case "count":
		return n, nil
	case "pid":
		return os.Getpid(), nil
	case "ticks":
		return ticks.Load(), nil
	case "environ":
		return os.Environ(), nil
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		trace, _ := ctx.Value("x-amzn-trace-id").(string)
		return map[string]any{"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn,
			"left_ms": time.Until(deadline).Milliseconds(), "trace": trace}, nil
	case "fail":
		return nil, errors.New(r.Text)
	case "panic":
		panic(r.Text)
	case "exit":
		os.Exit(7)
	case "hang":
		fmt.Println(os.Getpid())
		select {}
	case "log":
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, strings.Repeat("x", r.Size))
		fmt.Print("no line feed")
		os.Exit(0)
	case "large":
		return strings.NewReader(strings.Repeat("x", r.Size)), nil
	case "child": // leaves a process behind that would outlive it
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return cmd.Process.Pid, nil
	case "stream":
		return &events.LambdaFunctionURLStreamingResponse{StatusCode: 201,
			Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"a=1"},
			Body: &steps{url: r.URL, text: r.Text, left: r.Size}}, nil
	case "break":
		return &events.LambdaFunctionURLStreamingResponse{
			Body: io.MultiReader(strings.NewReader("begun"), broken{})}, nil
	case "raw":
		return io.MultiReader(strings.NewReader(r.Text)), nil
	}
	return nil, fmt.Errorf("unknown action %q", r.Action)
}

// steps gives a text several times, each but the first only after url has been
// fetched: so the test says when.
type steps struct {
	url, text string
	left      int
	started   bool
}

func (s *steps) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if s.started && s.url != "" {
		if err := fetch(s.url); err != nil {
			return 0, err
		}
	}
	s.started = true
	s.left--
	return copy(p, s.text), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the source dried up") }
