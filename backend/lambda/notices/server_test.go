package notices

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"culvert/backend/awslocal/sqslocal"
	"culvert/backend/wire"
)

// A real server takes what is sent here, and hands it on as it was.
func TestRealServer(t *testing.T) {
	t.Parallel()
	endpoint := sqslocal.Test(t)
	keys := credentials.NewStaticCredentialsProvider("AKID", "hush", "")
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	sdk := awssqs.New(awssqs.Options{Region: "eu-west-1", BaseEndpoint: &endpoint, Credentials: keys, HTTPClient: h})
	name := sqslocal.Name("connection")
	made, err := sdk.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewSQS(SQSConfig{URL: *made.QueueUrl, Region: "eu-west-1", HTTP: h, Credentials: keys})
	if err != nil {
		t.Fatal(err)
	}
	// The server's limit for one call is the narrower one.
	w := newWorld(t)
	w.connect("user:ann", ids("a", 23)...)
	n := w.notices()
	n.cfg.Queue = q
	data := `"` + strings.Repeat("<é\\u0000>", wire.MaxNotice/12) + `"`
	w.wants("to a real server", n.Handle(t.Context(), batch(usersARN, `{"userId":"ann","data":`+data+`}`)))
	got := map[string]string{}
	for len(got) < 23 {
		out, err := sdk.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) == 0 {
			t.Fatalf("%d messages, and then %v", len(got), err)
		}
		for _, m := range out.Messages {
			got[*m.Body] = *m.MessageId
		}
	}
	for _, id := range ids("a", 23) {
		if want := fmt.Sprintf(`{"connectionId":%q,"userId":"ann","data":%s,"id":"m0","time":%d}`, id, data, sent.UnixMilli()); got[want] == "" {
			t.Errorf("nothing for %s", id)
		}
	}

	// What it refuses a whole call for is the only thing that fails.
	w = newWorld(t)
	w.connect("user:bob", ids("b", 4)...)
	w.connect("user:ann", "p\uffff")
	n = w.notices()
	n.cfg.Queue = q
	w.wants("beside others", n.Handle(t.Context(), batch(usersARN, `{"userId":"bob","data":1}`, `{"userId":"ann","data":1}`, `{"userId":"bob","data":2}`)), "m1")
	more := map[string]bool{}
	for len(more) < 8 {
		out, err := sdk.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) == 0 {
			t.Fatalf("%d messages beside one that is refused, and then %v", len(more), err)
		}
		for _, m := range out.Messages {
			if got[*m.Body] == "" { // else it is one of those above, which nobody has deleted
				more[*m.Body] = true
			}
		}
	}

	// What it says against a call is understood.
	gone, err := NewSQS(SQSConfig{URL: *made.QueueUrl + "-gone", Region: "eu-west-1", Endpoint: endpoint, HTTP: h, Credentials: keys})
	if err != nil {
		t.Fatal(err)
	}
	if errs := gone.Send(t.Context(), []string{"x"}); errs[0] == nil || !strings.Contains(errs[0].Error(), "400") {
		t.Errorf("to no queue: %v", errs)
	}
	if errs := q.Send(t.Context(), []string{"good", "\x00"}); errs[1] == nil || strings.Contains(errs[1].Error(), "\x00") {
		t.Errorf("what SQS does not take: %v", errs)
	}
}
