package sqssource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/sqssource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// function decides about batches.
type function func(events.SQSEvent) (runtime.Result, error)

func (f function) Invoke(_ context.Context, payload []byte) (runtime.Result, error) {
	var e events.SQSEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return runtime.Result{}, err
	}
	return f(e)
}

func failures(ids ...string) runtime.Result {
	var r events.SQSEventResponse
	for _, id := range ids {
		r.BatchItemFailures = append(r.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	payload, _ := json.Marshal(r)
	return runtime.Result{Payload: payload}
}

// run polls until the test ends, or the returned function is called.
func run(t *testing.T, c sqssource.Config) (stop func()) {
	t.Helper()
	s, err := sqssource.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func client(url string) *sqs.Client {
	return sqs.New(sqs.Options{Region: "eu-west-1", BaseEndpoint: &url, HTTPClient: &httpClient,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
}

func TestDeliversAndDeletes(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.put("m1", "first", map[string]attribute{"Kind": {StringValue: "notice", DataType: "String"}, "Raw": {BinaryValue: []byte("AB"), DataType: "Binary"}})
	got := make(chan events.SQSEvent, 1)
	stop := run(t, sqssource.Config{Queue: client(q.url), URL: q.url + "/123456789012/notify", Region: "eu-west-1", Pollers: 1,
		Function: function(func(e events.SQSEvent) (runtime.Result, error) {
			got <- e
			return runtime.Result{Payload: []byte("null")}, nil
		})})
	e := <-got
	want := events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "m1", ReceiptHandle: "receipt-m1-1", Body: "first", Md5OfBody: "8b04d5e3775d298e78455efc5ca404d5",
		Attributes:     map[string]string{"ApproximateReceiveCount": "1", "SenderId": "sender", "SentTimestamp": "1520621625029", "ApproximateFirstReceiveTimestamp": "1520621634884"},
		EventSourceARN: "arn:aws:sqs:eu-west-1:123456789012:notify", EventSource: "aws:sqs", AWSRegion: "eu-west-1",
		MessageAttributes: map[string]events.SQSMessageAttribute{
			"Kind": {StringValue: aws.String("notice"), StringListValues: []string{}, BinaryListValues: [][]byte{}, DataType: "String"},
			"Raw":  {BinaryValue: []byte("AB"), StringListValues: []string{}, BinaryListValues: [][]byte{}, DataType: "Binary"}},
	}}}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	q.awaitDeleted(t, "m1")
	stop()
	if in := q.asked(); in.MaxNumberOfMessages != 10 || in.WaitTimeSeconds != 20 || in.QueueURL != q.url+"/123456789012/notify" {
		t.Errorf("asked for %+v", in)
	}
}

func TestReportedItemsComeAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		report  bool
		answer  runtime.Result
		err     error
		deleted []string
	}{
		{"one failed", true, failures("m2"), nil, []string{"m1", "m3"}},
		{"none failed", true, failures(), nil, []string{"m1", "m2", "m3"}},
		{"null", true, runtime.Result{Payload: []byte("null")}, nil, []string{"m1", "m2", "m3"}},
		{"nothing", true, runtime.Result{}, nil, []string{"m1", "m2", "m3"}},
		{"all failed", true, failures("m1", "m2", "m3"), nil, nil},
		{"unknown item", true, failures("m9"), nil, nil},
		{"empty item", true, failures(""), nil, nil},
		{"no JSON", true, runtime.Result{Payload: []byte("{")}, nil, nil},
		{"not asked to report", false, failures("m2"), nil, []string{"m1", "m2", "m3"}},
		{"function error", true, runtime.Result{FunctionError: "Unhandled"}, nil, nil},
		{"function timeout", true, runtime.Result{FunctionError: "Unhandled"}, runtime.ErrTimeout, nil},
		{"throttled", true, runtime.Result{}, runtime.ErrThrottled, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := &memory{batches: [][]types.Message{{message("m1"), message("m2"), message("m3")}}, empty: make(chan struct{})}
			stop := run(t, sqssource.Config{Queue: q, URL: "http://queue/1/q", Pollers: 1, ReportBatchItemFailures: tt.report,
				Function: function(func(events.SQSEvent) (runtime.Result, error) { return tt.answer, tt.err })})
			<-q.empty
			stop()
			if diff := cmp.Diff(tt.deleted, q.deleted); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBacksOff: neither a queue that is away nor a function without concurrency is
// asked in a tight loop.
func TestBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &memory{err: errors.New("connection refused"), empty: make(chan struct{})}
		var logged []error
		stop := run(t, sqssource.Config{Queue: q, URL: "http://queue/1/q", Pollers: 1, Log: func(err error) { logged = append(logged, err) },
			Function: function(func(events.SQSEvent) (runtime.Result, error) { return runtime.Result{}, nil })})
		time.Sleep(10*time.Minute + time.Millisecond)
		stop()
		// After 1, 2, 4, 8 and 16 s, then every 30 s.
		if n := len(logged); n != 5+1+(600-31)/30 {
			t.Errorf("asked %d times in 10 minutes", n)
		}
	})
}

func TestEmptyQueueIsNotAskedInATightLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &memory{impatient: true, empty: make(chan struct{})}
		stop := run(t, sqssource.Config{Queue: q, URL: "http://queue/1/q", Pollers: 1,
			Function: function(func(events.SQSEvent) (runtime.Result, error) { return runtime.Result{}, nil })})
		time.Sleep(time.Minute + time.Millisecond)
		stop()
		if q.receives != 601 {
			t.Errorf("asked %d times in a minute", q.receives)
		}
	})
}

func TestLargeBatchesAreSplit(t *testing.T) {
	t.Parallel()
	var batch []types.Message
	for i := range 8 {
		m := message(fmt.Sprint("m", i))
		m.Body = aws.String(strings.Repeat("x", 1<<20))
		batch = append(batch, m)
	}
	q := &memory{batches: [][]types.Message{batch}, empty: make(chan struct{})}
	var sizes []int
	stop := run(t, sqssource.Config{Queue: q, URL: "http://queue/1/q", Pollers: 1,
		Function: function(func(e events.SQSEvent) (runtime.Result, error) {
			sizes = append(sizes, len(e.Records))
			return runtime.Result{}, nil
		})})
	<-q.empty
	stop()
	if diff := cmp.Diff([]int{4, 4}, sizes); diff != "" || len(q.deleted) != 8 {
		t.Errorf("%d deleted; %s", len(q.deleted), diff)
	}
}

// TestStopLetsDeletesFinish: what a function has dealt with must not come again.
func TestStopLetsDeletesFinish(t *testing.T) {
	t.Parallel()
	q := &memory{batches: [][]types.Message{{message("m1")}}, empty: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := sqssource.New(sqssource.Config{Queue: q, URL: "http://queue/1/q", Pollers: 1,
		Function: function(func(events.SQSEvent) (runtime.Result, error) {
			cancel()
			return runtime.Result{}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	s.Run(ctx)
	if !slices.Equal(q.deleted, []string{"m1"}) {
		t.Errorf("deleted %v", q.deleted)
	}
}

func TestEventAsPublished(t *testing.T) {
	t.Parallel()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "events", "testdata", "sqs-event.json"))
	if err != nil {
		t.Fatal(err)
	}
	var published map[string][]map[string]any
	if err := json.Unmarshal(text, &published); err != nil {
		t.Fatal(err)
	}
	q := &memory{batches: [][]types.Message{{message("m1")}}, empty: make(chan struct{})}
	var got map[string][]map[string]any
	stop := run(t, sqssource.Config{Queue: q, URL: "http://queue/1/q", Pollers: 1, Function: raw(func(payload []byte) {
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Error(err)
		}
	})})
	<-q.empty
	stop()
	shape := func(m map[string]any) map[string]string {
		types := make(map[string]string)
		for name, v := range m {
			types[name] = fmt.Sprintf("%T", v)
		}
		return types
	}
	if diff := cmp.Diff(shape(published["Records"][0]), shape(got["Records"][0])); diff != "" {
		t.Error(diff)
	}
}

type raw func(payload []byte)

func (f raw) Invoke(_ context.Context, payload []byte) (runtime.Result, error) {
	f(payload)
	return runtime.Result{}, nil
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	f, q := raw(func([]byte) {}), &memory{}
	for _, c := range []sqssource.Config{
		{},
		{Queue: q, URL: "http://queue/1/q"},
		{Function: f, URL: "http://queue/1/q"},
		{Queue: q, Function: f},
		{Queue: q, Function: f, URL: "http://queue/q"},
		{Queue: q, Function: f, URL: "http://queue/1/q", BatchSize: 11},
		{Queue: q, Function: f, URL: "http://queue/1/q", Wait: time.Millisecond},
		{Queue: q, Function: f, URL: "http://queue/1/q", Pollers: -1},
	} {
		if _, err := sqssource.New(c); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
}
