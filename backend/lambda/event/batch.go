package event

import (
	"encoding/json"
	"strconv"
	"time"
)

// Batch is messages of SQS queues, in the order in which they came.
//
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
type Batch struct {
	Items []Item
}

// Item is one message of a queue.
type Item struct {
	// ID is SQS's, the same each time the message comes, and never empty: only what
	// is named can come again by itself.
	ID   string
	Body string
	// Sent is when it was put on its queue, and Receives how many times it has come,
	// this time included; zero if the event does not say.
	Sent     time.Time
	Receives int
	// Queue is the ARN of its queue, never empty.
	Queue string
}

// record is an item as it comes. Of other sources than SQS, the source is all that is
// looked at.
type record struct {
	Source     string `json:"eventSource"`
	MessageID  string `json:"messageId"`
	Body       string `json:"body"`
	ARN        string `json:"eventSourceARN"`
	Attributes struct {
		Sent     string `json:"SentTimestamp"`
		Receives string `json:"ApproximateReceiveCount"`
	} `json:"attributes"`
}

// Bounds of a batch: SQS's own, a mapping's largest batch among them.
const (
	maxItems   = 10_000
	maxItemID  = 100
	maxARN     = 512
	maxCounter = 1 << 31
)

func (e *envelope) batch() (*Batch, error) {
	if len(e.Records) > maxItems {
		return nil, malformed("%d messages of a queue at once, of at most %d", len(e.Records), maxItems)
	}
	b := &Batch{Items: make([]Item, 0, len(e.Records))}
	for n, r := range e.Records {
		switch {
		case r.Source != "aws:sqs":
			return nil, malformed("record %d is of another source than the first", n)
		case r.MessageID == "" || len(r.MessageID) > maxItemID:
			return nil, malformed("record %d has no messageId", n)
		case r.ARN == "" || len(r.ARN) > maxARN:
			return nil, malformed("record %d has no eventSourceARN", n)
		}
		item := Item{ID: r.MessageID, Body: r.Body, Queue: r.ARN}
		if sent, ok := counter(r.Attributes.Sent); !ok {
			return nil, malformed("record %d has no time for its SentTimestamp", n)
		} else if sent > 0 {
			item.Sent = time.UnixMilli(sent)
		}
		receives, ok := counter(r.Attributes.Receives)
		if !ok || receives > maxCounter {
			return nil, malformed("record %d has no number for its ApproximateReceiveCount", n)
		}
		item.Receives = int(receives)
		b.Items = append(b.Items, item)
	}
	return b, nil
}

// counter reads a number that SQS writes as a text; "" is 0.
func counter(text string) (n int64, ok bool) {
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0
}

// EncodeBatchAnswer gives the answer to a Batch, for mappings with the response type
// ReportBatchItemFailures: the items that failed come again, and the others are
// deleted.
//
// An answer of any other shape would mean that everything succeeded. Where there is
// nothing to say about single items, the function has to fail.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func EncodeBatchAnswer(failed []string) []byte {
	type failure struct {
		ID string `json:"itemIdentifier"`
	}
	answer := struct {
		Failures []failure `json:"batchItemFailures"`
	}{make([]failure, 0, len(failed))}
	for _, id := range failed {
		answer.Failures = append(answer.Failures, failure{id})
	}
	text, _ := json.Marshal(answer) // cannot fail: strings alone
	return text
}
