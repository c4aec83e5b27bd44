// Package sqssource stands in for Lambda's event source mapping of an SQS queue: it
// polls a queue, invokes a function with what it finds, and deletes what the function
// has dealt with. The rest comes again after the queue's visibility timeout.
//
// The backend's own queues are those for notices. Functions of the user's own whose work
// comes from a queue are served alike: by New and Run, beside package runtime.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
package sqssource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"culvert/backend/awslocal/runtime"
)

const (
	maxBatch      = 10 // messages that a queue gives at once
	maxWait       = 20 * time.Second
	maxPollers    = 100
	firstPause    = time.Second // after a failure; doubles to
	longestPause  = 30 * time.Second
	deleteTimeout = 10 * time.Second
	emptyPause    = 100 * time.Millisecond // for queues that answer at once that they are empty
)

// Queue is what is needed of an *sqs.Client.
type Queue interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// Config describes a mapping from a queue to a function.
type Config struct {
	Queue    Queue
	URL      string // of the queue
	ARN      string // of the queue, for events; default made of URL's account and name
	Region   string // default us-east-1
	Function runtime.Function

	BatchSize int           // 1 to 10; default 10
	Wait      time.Duration // for a message, 1 s to 20 s; default 20 s
	Pollers   int           // batches at work at once; default 2, at most 100
	// ReportBatchItemFailures has the function say which messages failed. Without it
	// a batch fails or succeeds as a whole.
	ReportBatchItemFailures bool

	// Log is told of failures: of the queue, and of functions. It must not block.
	Log func(error)
}

// Source polls while Run runs.
type Source struct{ cfg Config }

// New checks the config.
func New(c Config) (*Source, error) {
	if c.Queue == nil || c.Function == nil {
		return nil, errors.New("sqs source: a queue and a function are needed")
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("sqs source: %q is no queue's URL", c.URL)
	}
	c.Region = orDefault(c.Region, "us-east-1")
	if c.ARN == "" {
		account, name, ok := strings.Cut(strings.Trim(u.Path, "/"), "/")
		if !ok || strings.Contains(name, "/") {
			return nil, fmt.Errorf("sqs source: the URL %q has no account and name: give the queue's ARN", c.URL)
		}
		c.ARN = "arn:aws:sqs:" + c.Region + ":" + account + ":" + name
	}
	c.BatchSize = orDefault(c.BatchSize, maxBatch)
	c.Pollers = orDefault(c.Pollers, 2)
	c.Wait = orDefault(c.Wait, maxWait)
	if c.BatchSize < 1 || c.BatchSize > maxBatch || c.Pollers < 1 || c.Pollers > maxPollers || c.Wait < time.Second || c.Wait > maxWait {
		return nil, fmt.Errorf("sqs source: batch size %d (1 to %d), pollers %d (1 to %d), wait %v (1 s to %v)",
			c.BatchSize, maxBatch, c.Pollers, maxPollers, c.Wait, maxWait)
	}
	if c.Log == nil {
		c.Log = func(error) {}
	}
	return &Source{cfg: c}, nil
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Run polls until ctx ends, and returns once nothing runs any more. Messages whose
// invocation it left are not deleted.
func (s *Source) Run(ctx context.Context) {
	var pollers sync.WaitGroup
	for range s.cfg.Pollers {
		pollers.Go(func() { s.poll(ctx) })
	}
	pollers.Wait()
}

func (s *Source) poll(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		out, err := s.cfg.Queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl:                    &s.cfg.URL,
			MaxNumberOfMessages:         int32(s.cfg.BatchSize),
			WaitTimeSeconds:             int32(s.cfg.Wait / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
			MessageAttributeNames:       []string{"All"},
		})
		if err != nil {
			err = fmt.Errorf("receiving from %s: %w", s.cfg.URL, err)
		} else {
			err = s.process(ctx, out.Messages)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.cfg.Log(err)
			sleep(ctx, pause)
			pause = min(2*pause, longestPause)
			continue
		case len(out.Messages) == 0:
			sleep(ctx, emptyPause)
		}
		pause = firstPause
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// process invokes the function with the messages and deletes those that succeeded. Its
// error means that it is better to wait before the next batch.
func (s *Source) process(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	payload, err := json.Marshal(s.event(messages))
	if err != nil {
		return fmt.Errorf("making an event: %w", err)
	}
	if len(payload) > runtime.MaxRequest && len(messages) > 1 {
		half := len(messages) / 2
		return errors.Join(s.process(ctx, messages[:half]), s.process(ctx, messages[half:]))
	}
	result, err := s.cfg.Function.Invoke(ctx, payload)
	switch {
	case result.FunctionError != "":
		// The visibility timeout is pause enough.
		s.cfg.Log(fmt.Errorf("function failed with %d messages, which will come again: %s", len(messages), result.Payload))
		return nil
	case err != nil:
		return fmt.Errorf("invoking with %d messages, which will come again: %w", len(messages), err)
	}
	done := messages
	if s.cfg.ReportBatchItemFailures {
		if done, err = succeeded(messages, result.Payload); err != nil {
			s.cfg.Log(fmt.Errorf("all of %d messages will come again: %w", len(messages), err))
		}
	}
	return s.delete(ctx, done)
}

// delete must not be cut short: what was dealt with would come again.
func (s *Source) delete(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &s.cfg.URL}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := s.cfg.Queue.DeleteMessageBatch(ctx, in)
	if err != nil {
		return fmt.Errorf("deleting from %s: %w", s.cfg.URL, err)
	}
	for _, f := range out.Failed {
		s.cfg.Log(fmt.Errorf("a message that was dealt with cannot be deleted: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message)))
	}
	return nil
}

// succeeded returns the messages that the function does not call failed. What it cannot
// have meant fails them all, as Lambda has it.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func succeeded(messages []types.Message, answer []byte) ([]types.Message, error) {
	if len(answer) == 0 {
		return messages, nil
	}
	var out struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, fmt.Errorf("the function's answer names no batchItemFailures: %w", err)
	}
	failed := make(map[string]bool)
	for _, f := range out.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	var done []types.Message
	for _, m := range messages {
		if id := aws.ToString(m.MessageId); failed[id] {
			delete(failed, id)
		} else {
			done = append(done, m)
		}
	}
	for id := range failed {
		return nil, fmt.Errorf("the function names item %q, which was not in the batch", id)
	}
	return done, nil
}

func (s *Source) event(messages []types.Message) events.SQSEvent {
	var e events.SQSEvent
	for _, m := range messages {
		record := events.SQSMessage{
			MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
			Md5OfBody: aws.ToString(m.MD5OfBody), Md5OfMessageAttributes: aws.ToString(m.MD5OfMessageAttributes),
			Attributes: m.Attributes, MessageAttributes: make(map[string]events.SQSMessageAttribute),
			EventSourceARN: s.cfg.ARN, EventSource: "aws:sqs", AWSRegion: s.cfg.Region,
		}
		for name, v := range m.MessageAttributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: v.StringValue, BinaryValue: v.BinaryValue,
				StringListValues: []string{}, BinaryListValues: [][]byte{}, DataType: aws.ToString(v.DataType)}
		}
		e.Records = append(e.Records, record)
	}
	return e
}
