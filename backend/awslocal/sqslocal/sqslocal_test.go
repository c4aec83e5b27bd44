package sqslocal

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/goleak"

	"culvert/backend/awslocal/program"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func client(endpoint string) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

func TestSharedByTheTests(t *testing.T) {
	t.Parallel()
	endpoint := Test(t)
	if again := Test(t); again != endpoint {
		t.Errorf("a second server at %s, beside %s", again, endpoint)
	}
	name := Name("queue")
	if Name("queue") == name {
		t.Error("the same name twice")
	}
	c := client(endpoint)
	made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if want := endpoint + "/123456789012/" + name; *made.QueueUrl != want {
		t.Errorf("the queue's URL is %s, want %s", *made.QueueUrl, want)
	}
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("hello")}); err != nil {
		t.Fatal(err)
	}
	got, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 20})
	if err != nil || len(got.Messages) != 1 || *got.Messages[0].Body != "hello" {
		t.Errorf("received %+v, %v", got, err)
	}
	var missing *types.QueueDoesNotExist
	if _, err := c.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("nobody")}); !errors.As(err, &missing) {
		t.Errorf("a queue that is not there: %v", err)
	}
}

func TestCloseEndsTheProgram(t *testing.T) {
	t.Parallel()
	Test(t)
	s, err := Start(t.Context(), Config{HeapMB: minHeap, Region: "eu-west-1", Account: "000000000001"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c := client(s.Endpoint())
	made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("queue")})
	if err != nil {
		t.Fatal(err)
	}
	about, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil || about.Attributes["QueueArn"] != "arn:aws:sqs:eu-west-1:000000000001:queue" {
		t.Errorf("the queue is %+v, %v", about, err)
	}
	pid := s.PID()
	s.Close()
	if err := s.Err(); err != nil {
		t.Errorf("closed, and yet an error: %v", err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d still runs", pid)
	}
	u, _ := url.Parse(s.Endpoint())
	if conn, err := net.Dial("tcp", u.Host); err == nil {
		conn.Close()
		t.Errorf("%s still listens", u.Host)
	}
	s.Close() // again does nothing
}

func TestAnUnexpectedEndIsTold(t *testing.T) {
	t.Parallel()
	Test(t)
	s, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Kill()
	select {
	case <-s.Exited():
	case <-time.After(30 * time.Second):
		t.Fatal("nothing is told")
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "ElasticMQ has ended (signal: killed)") {
		t.Errorf("got %v", err)
	}
}

func TestStartCanBeGivenUp(t *testing.T) {
	t.Parallel()
	Test(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := Start(ctx, Config{})
	if err == nil {
		s.Close()
		t.Error("started")
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A program that dies at its start is not waited for until the time is over.
func TestDeadAtTheStart(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := filepath.Join(cache, Version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "elasticmq-server_2.13-"+Version+".jar"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := program.FindJava(t.Context(), name, minJava); err != nil {
		program.Unavailable(t, err)
	}
	_, err := Start(t.Context(), Config{Cache: cache})
	if !errors.Is(err, errEnded) || !strings.Contains(err.Error(), "org.elasticmq.server.Main") {
		t.Errorf("got %v", err)
	}
}

func TestConfigChecked(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"48 or more": {HeapMB: -1},
		"region":     {Region: "a b"},
		"12 digits":  {Account: "1"},
	} {
		if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
}

// The line may come in pieces, and does not have to be the first.
func TestLogTellsTheAddress(t *testing.T) {
	t.Parallel()
	l := &log{told: make(chan string, 1)}
	told := l.told
	for _, text := range []string{"12:00 Starting\n12:01 Started SQS rest ser", strings.Repeat("x", maxLine), "\nStarted SQS rest server, bind add",
		"ress 127.0.0.1:401", "23, visible server address http://127.0.0.1:40123\n", "Started SQS rest server, bind address 127.0.0.1:1, again\n"} {
		if n, err := l.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("wrote %d of %d, %v", n, len(text), err)
		}
	}
	if got := <-told; got != "http://127.0.0.1:40123" {
		t.Errorf("told %s", got)
	}
	if len(told) != 0 {
		t.Error("told again")
	}
}
