package sqssource_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/sqslocal"
	"culvert/backend/awslocal/sqssource"
)

// queues are a queue of a real server, and where it puts what failed five times.
type queues struct {
	*sqs.Client
	url, dead string
}

func realQueues(t *testing.T, visibility time.Duration) queues {
	t.Helper()
	q := queues{Client: client(sqslocal.Test(t))}
	name := sqslocal.Name("queue")
	dead, err := q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name + "-dead")})
	if err != nil {
		t.Fatal(err)
	}
	q.dead = *dead.QueueUrl
	redrive, err := json.Marshal(map[string]any{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:" + name + "-dead", "maxReceiveCount": 5})
	if err != nil {
		t.Fatal(err)
	}
	made, err := q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
		"VisibilityTimeout": fmt.Sprint(int(visibility / time.Second)), "RedrivePolicy": string(redrive),
	}})
	if err != nil {
		t.Fatal(err)
	}
	q.url = *made.QueueUrl
	return q
}

func (q queues) send(t *testing.T, body string) {
	t.Helper()
	if _, err := q.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// take waits for a message.
func (q queues) take(t *testing.T, url string) types.Message {
	t.Helper()
	for {
		got, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) > 0 {
			return got.Messages[0]
		}
	}
}

// left counts the messages of a queue, those under way included.
func (q queues) left(t *testing.T, url string) string {
	t.Helper()
	about, err := q.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	return about.Attributes["ApproximateNumberOfMessages"] + "+" + about.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// A message that fails each time comes five times and is dead then; those in its batch
// that succeed are gone, and come once.
func TestPoisonEndsInTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	q := realQueues(t, time.Second)
	for _, body := range []string{"good", "poison", "fine"} {
		q.send(t, body)
	}
	var mu sync.Mutex
	seen := make(map[string]int)
	var arns, counts []string
	stop := run(t, sqssource.Config{Queue: q.Client, URL: q.url, ReportBatchItemFailures: true,
		Function: function(func(e events.SQSEvent) (runtime.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			var failed []string
			for _, r := range e.Records {
				seen[r.Body]++
				arns = append(arns, r.EventSourceARN)
				if r.Body == "poison" {
					failed = append(failed, r.MessageId)
					counts = append(counts, r.Attributes["ApproximateReceiveCount"])
				}
			}
			return failures(failed...), nil
		})})
	if got := q.take(t, q.dead); *got.Body != "poison" {
		t.Errorf("%q is dead", *got.Body)
	}
	stop()
	if seen["good"] != 1 || seen["fine"] != 1 || seen["poison"] != 5 {
		t.Errorf("came so often: %v", seen)
	}
	if got := strings.Join(counts, " "); got != "1 2 3 4 5" {
		t.Errorf("receive counts %s", got)
	}
	for _, arn := range arns {
		if arn != "arn:aws:sqs:us-east-1:123456789012:"+q.url[strings.LastIndex(q.url, "/")+1:] {
			t.Errorf("from %s", arn)
		}
	}
	if got := q.left(t, q.url); got != "0+0" {
		t.Errorf("%s messages are left", got)
	}
}

// A message of the full 256 KB comes as it was sent.
func TestLongMessage(t *testing.T) {
	t.Parallel()
	q := realQueues(t, 30*time.Second)
	text := strings.Repeat("é☃", (256<<10)/5)
	q.send(t, text)
	got := make(chan string, 1)
	run(t, sqssource.Config{Queue: q.Client, URL: q.url, Pollers: 1, Function: function(func(e events.SQSEvent) (runtime.Result, error) {
		got <- e.Records[0].Body
		return runtime.Result{}, nil
	})})
	if body := <-got; body != text {
		t.Errorf("%d bytes came, want %d", len(body), len(text))
	}
}

// More messages than fit in a batch all come, in batches of at most 10.
func TestManyMessages(t *testing.T) {
	t.Parallel()
	q := realQueues(t, 30*time.Second)
	for i := range 23 {
		q.send(t, fmt.Sprint("m", i))
	}
	var mu sync.Mutex
	seen := make(map[string]bool)
	all := make(chan struct{})
	run(t, sqssource.Config{Queue: q.Client, URL: q.url, Function: function(func(e events.SQSEvent) (runtime.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(e.Records) > 10 {
			t.Errorf("%d messages at once", len(e.Records))
		}
		for _, r := range e.Records {
			if seen[r.Body] {
				t.Errorf("%s came twice", r.Body)
			}
			seen[r.Body] = true
		}
		if len(seen) == 23 {
			close(all)
		}
		return runtime.Result{}, nil
	})})
	<-all
}

// watched tells when somebody waits for messages.
type watched struct {
	sqssource.Queue
	waiting chan struct{}
}

func (w watched) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, o ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	select {
	case w.waiting <- struct{}{}:
	default:
	}
	return w.Queue.ReceiveMessage(ctx, in, o...)
}

// Stopping does not wait for a long poll's end, and nobody polls afterwards.
func TestStopDuringLongPoll(t *testing.T) {
	t.Parallel()
	q := realQueues(t, 30*time.Second)
	w := watched{q.Client, make(chan struct{}, 1)}
	stop := run(t, sqssource.Config{Queue: w, URL: q.url, Pollers: 1, Function: function(func(events.SQSEvent) (runtime.Result, error) {
		t.Error("invoked")
		return runtime.Result{}, nil
	})})
	<-w.waiting
	began := time.Now()
	stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
	select {
	case <-w.waiting:
		t.Error("it has asked again")
	default:
	}
}
