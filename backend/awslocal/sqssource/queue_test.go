package sqssource_test

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// httpClient keeps no connections, so that none is left when the tests end.
var httpClient = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// memory is a queue without a server.
type memory struct {
	batches   [][]types.Message
	err       error
	impatient bool          // answers at once when it is empty
	empty     chan struct{} // closed when everything has been received and another is asked for

	mu       sync.Mutex
	receives int
	deleted  []string
	once     sync.Once
}

func message(id string) types.Message {
	return types.Message{MessageId: &id, ReceiptHandle: aws.String("receipt-" + id), Body: aws.String("body"),
		Attributes: map[string]string{"ApproximateReceiveCount": "1"}}
}

func (q *memory) ReceiveMessage(ctx context.Context, _ *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	q.mu.Lock()
	q.receives++
	var batch []types.Message
	if len(q.batches) > 0 {
		batch, q.batches = q.batches[0], q.batches[1:]
	}
	q.mu.Unlock()
	if q.err != nil {
		return nil, q.err
	}
	if batch == nil && !q.impatient {
		q.once.Do(func() { close(q.empty) })
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &sqs.ReceiveMessageOutput{Messages: batch}, nil
}

func (q *memory) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, e := range in.Entries {
		q.deleted = append(q.deleted, strings.TrimPrefix(*e.ReceiptHandle, "receipt-"))
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

// queue is a server that speaks SQS's JSON protocol, as far as the source needs it.
type queue struct {
	url string

	mu       sync.Mutex
	messages []queued
	deleted  []string
	last     receive
	changed  chan struct{} // closed and renewed when a message is put or deleted
}

type queued struct {
	id, body   string
	attributes map[string]attribute
	receives   int
}

type attribute struct {
	StringValue string `json:",omitempty"`
	BinaryValue []byte `json:",omitempty"`
	DataType    string
}

type receive struct {
	QueueURL            string `json:"QueueUrl"`
	MaxNumberOfMessages int
	WaitTimeSeconds     int
}

func newQueue(t *testing.T) *queue {
	q := &queue{changed: make(chan struct{})}
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	q.url = server.URL
	return q
}

func (q *queue) put(id, body string, attributes map[string]attribute) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = append(q.messages, queued{id: id, body: body, attributes: attributes})
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *queue) asked() receive {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

func (q *queue) awaitDeleted(t *testing.T, id string) {
	t.Helper()
	for {
		q.mu.Lock()
		found, changed := slices.Contains(q.deleted, id), q.changed
		q.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("%s was never deleted", id)
		}
	}
}

func (q *queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	switch target := r.Header.Get("X-Amz-Target"); target {
	case "AmazonSQS.ReceiveMessage":
		var in receive
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		q.receive(w, r, in)
	case "AmazonSQS.DeleteMessageBatch":
		var in struct {
			Entries []struct{ ID, ReceiptHandle string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		var successful []map[string]string
		for _, e := range in.Entries {
			q.deleted = append(q.deleted, strings.Split(e.ReceiptHandle, "-")[1])
			successful = append(successful, map[string]string{"Id": e.ID})
		}
		close(q.changed)
		q.changed = make(chan struct{})
		json.NewEncoder(w).Encode(map[string]any{"Successful": successful, "Failed": []any{}})
	default:
		http.Error(w, "unknown operation "+target, http.StatusBadRequest)
	}
}

func (q *queue) receive(w http.ResponseWriter, r *http.Request, in receive) {
	timeout := time.After(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		q.mu.Lock()
		q.last = in
		var messages []map[string]any
		for i := range q.messages {
			m := &q.messages[i]
			if m.receives > 0 || len(messages) == in.MaxNumberOfMessages { // invisible from then on
				continue
			}
			m.receives++
			messages = append(messages, map[string]any{"MessageId": m.id, "Body": m.body, "MessageAttributes": m.attributes,
				"ReceiptHandle": fmt.Sprintf("receipt-%s-%d", m.id, m.receives), "MD5OfBody": fmt.Sprintf("%x", md5.Sum([]byte(m.body))),
				"Attributes": map[string]string{"ApproximateReceiveCount": fmt.Sprint(m.receives), "SenderId": "sender",
					"SentTimestamp": "1520621625029", "ApproximateFirstReceiveTimestamp": "1520621634884"}})
		}
		changed := q.changed
		q.mu.Unlock()
		if len(messages) > 0 {
			json.NewEncoder(w).Encode(map[string]any{"Messages": messages})
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.Write([]byte("{}"))
			return
		case <-r.Context().Done():
			return
		}
	}
}
