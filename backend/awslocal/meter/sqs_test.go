package meter

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/sqslocal"
)

// allowed lets everybody do anything but delete, on one queue.
func allowed(arn string) func(string, string, string) bool {
	return func(_, action, queue string) bool { return queue == arn && action != "sqs:DeleteMessage" }
}

func TestSQS(t *testing.T) {
	t.Parallel()
	upstream, err := url.Parse(sqslocal.Test(t))
	if err != nil {
		t.Fatal(err)
	}
	name := sqslocal.Name("queue")
	arn := "arn:aws:sqs:eu-west-1:210987654321:" + name
	m := New()
	transport := &http.Transport{DisableKeepAlives: true}
	server := httptest.NewServer(m.SQS(SQS{
		Upstream: upstream, Region: "eu-west-1", Account: "210987654321", Callers: callers, Allowed: allowed(arn), Transport: transport,
	}))
	t.Cleanup(server.Close)
	options := sqs.Options{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: login("agents", token), RetryMaxAttempts: 1}
	direct := options
	direct.BaseEndpoint = aws.String(upstream.String())
	made, err := sqs.New(direct).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	c := sqs.New(options)
	queue := aws.String("http://anywhere/000000000000/" + name)
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String(strings.Repeat("x", 130<<10))}); err != nil {
		t.Fatal(err)
	}
	sent, err := c.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("a"), MessageBody: aws.String("one")}, {Id: aws.String("b"), MessageBody: aws.String("two")},
	}})
	if err != nil || len(sent.Successful) != 2 {
		t.Fatalf("%+v, %v", sent, err)
	}
	// The second of 3 requests' worth, as large as the first message.
	received := 0
	for received < 3 {
		got, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 1, WaitTimeSeconds: 20})
		if err != nil || len(got.Messages) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		received++
	}
	want := []Call{{"agents", "sqs:ReceiveMessage", arn}, {"agents", "sqs:SendMessage", arn}}
	if diff := cmp.Diff(want, m.Calls()); diff != "" {
		t.Errorf("calls: -want +got:\n%s", diff)
	}
	used := m.Usage()
	if used.QueueRequests != 3+1+(3+1+1) {
		t.Errorf("counted %+v", used)
	}

	// What no policy allows, and who is nobody.
	kind := func(err error) string {
		var answer smithy.APIError
		if errors.As(err, &answer) {
			return answer.ErrorCode()
		}
		return ""
	}
	other := aws.String("http://anywhere/000000000000/another")
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: other, MessageBody: aws.String("x")}); kind(err) != "AccessDeniedException" {
		t.Errorf("another queue: %v", err)
	}
	if _, err := c.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: aws.String("x")},
	}}); kind(err) != "AccessDeniedException" {
		t.Errorf("a batch of what is not allowed: %v", err)
	}
	if _, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("mine")}); kind(err) != "InvalidAddress" {
		t.Errorf("making a queue: %v", err)
	}
	options.Credentials = login("agents", "forged")
	if _, err := sqs.New(options).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("x")}); kind(err) != "UnrecognizedClientException" {
		t.Errorf("a forged token: %v", err)
	}
	if m.Usage() != used {
		t.Errorf("counted what was refused: %+v", m.Usage())
	}
}

func TestSQSRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	m := New()
	server := httptest.NewServer(m.SQS(SQS{
		Upstream: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Callers: callers,
		Allowed: func(string, string, string) bool { return true },
	}))
	t.Cleanup(server.Close)
	for name, test := range map[string]struct {
		target, body string
		status       int
	}{
		"the query protocol": {"", "Action=SendMessage", http.StatusBadRequest},
		"another service":    {"DynamoDB_20120810.GetItem", "{}", http.StatusBadRequest},
		"no JSON":            {"AmazonSQS.SendMessage", "{", http.StatusBadRequest},
		"no URL":             {"AmazonSQS.SendMessage", `{"QueueUrl":"http://[x/queue"}`, http.StatusBadRequest},
		"too much":           {"AmazonSQS.SendMessage", strings.Repeat(" ", maxQueueBody+1), http.StatusRequestEntityTooLarge},
		"nobody behind":      {"AmazonSQS.SendMessage", `{"QueueUrl":"http://x/1/queue"}`, http.StatusServiceUnavailable},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=ASIA.agents/20260101/us-east-1/sqs/aws4_request")
		r.Header.Set("X-Amz-Security-Token", token)
		r.Header.Set("X-Amz-Target", test.target)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != test.status || !strings.Contains(string(text), "__type") {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
}
