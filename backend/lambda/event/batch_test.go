package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// queued is an event of a queue with one message, changed in its record.
func queued(change object) []byte {
	var record object
	if err := json.Unmarshal(event(object{
		"messageId": "059f36b4", "receiptHandle": "AQEB", "body": "one", "eventSource": "aws:sqs", "awsRegion": "eu-west-1",
		"eventSourceARN": "arn:aws:sqs:eu-west-1:1:user", "messageAttributes": object{},
		"attributes": object{"SentTimestamp": "1523232000123", "ApproximateReceiveCount": "3", "SenderId": "x"},
	}, change), &record); err != nil {
		panic(err)
	}
	return event(object{"Records": []any{record}}, nil)
}

func TestBatch(t *testing.T) {
	t.Parallel()
	e, err := Parse(queued(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := &Event{Kind: Queue, Batch: &Batch{Items: []Item{
		{ID: "059f36b4", Body: "one", Sent: time.UnixMilli(1523232000123), Receives: 3, Queue: "arn:aws:sqs:eu-west-1:1:user"},
	}}}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// AWS's own, which has two messages.
	if e, err = Parse(published(t, "events/testdata/sqs-event.json")); err != nil || len(e.Batch.Items) == 0 || e.Batch.Items[0].Body == "" || e.Batch.Items[0].Sent.IsZero() {
		t.Errorf("%+v, %v", e.Batch, err)
	}
	// Attributes are only what makes an answer better.
	if e, err = Parse(queued(object{"attributes": nil})); err != nil || !e.Batch.Items[0].Sent.IsZero() || e.Batch.Items[0].Receives != 0 {
		t.Errorf("without attributes: %+v, %v", e.Batch, err)
	}
}

// The order of a batch is that of its records.
func TestBatchKeepsOrder(t *testing.T) {
	t.Parallel()
	var records []string
	for n := range 25 {
		records = append(records, fmt.Sprintf(`{"messageId":"m%d","body":"b","eventSource":"aws:sqs","eventSourceARN":"arn"}`, n))
	}
	e, err := Parse([]byte(`{"Records":[` + strings.Join(records, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	for n, item := range e.Batch.Items {
		if item.ID != fmt.Sprint("m", n) {
			t.Errorf("%d: %s", n, item.ID)
		}
	}
}

func TestMalformedBatches(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{
		"no messageId":      queued(object{"messageId": nil}),
		"a long messageId":  queued(object{"messageId": strings.Repeat("m", maxItemID+1)}),
		"no queue":          queued(object{"eventSourceARN": ""}),
		"a time that lies":  queued(object{"attributes.SentTimestamp": "yesterday"}),
		"before all times":  queued(object{"attributes.SentTimestamp": "-1"}),
		"no count":          queued(object{"attributes.ApproximateReceiveCount": "1.5"}),
		"too often":         queued(object{"attributes.ApproximateReceiveCount": "99999999999"}),
		"another's record":  []byte(`{"Records":[{"messageId":"m","eventSource":"aws:sqs","eventSourceARN":"arn"},{"messageId":"n","eventSource":"aws:s3","eventSourceARN":"arn"}]}`),
		"too many messages": []byte(`{"Records":[{"eventSource":"aws:sqs"}` + strings.Repeat(`,{}`, maxItems) + `]}`),
	} {
		e, err := Parse(text)
		if !errors.Is(err, ErrMalformed) || e.Kind != Queue || e.Batch != nil {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	if e, err := Parse(queued(object{"body": 5})); err == nil {
		t.Errorf("a number for a body: %+v", e.Batch)
	}
}

func TestEncodeBatchAnswer(t *testing.T) {
	t.Parallel()
	for want, failed := range map[string][]string{
		`{"batchItemFailures":[]}`: nil,
		`{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b\"c"}]}`: {"a", `b"c`},
	} {
		if got := string(EncodeBatchAnswer(failed)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
