package notices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
)

const queueURL = "https://sqs.eu-west-1.amazonaws.com/123456789012/notify-connection"

// sqs answers a call.
type sqs struct {
	status int
	answer string
	err    error

	requests []*http.Request
	bodies   []string
}

func (s *sqs) Do(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(text))
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.answer))}, nil
}

func queueOf(t *testing.T, s *sqs, endpoint string) *SQS {
	t.Helper()
	q, err := NewSQS(SQSConfig{URL: queueURL, Region: "eu-west-1", Endpoint: endpoint, HTTP: s, Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", "")})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// The call is the one that SQS documents for its JSON protocol.
func TestSend(t *testing.T) {
	t.Parallel()
	for endpoint, url := range map[string]string{"": "https://sqs.eu-west-1.amazonaws.com/", "http://127.0.0.1:9324": "http://127.0.0.1:9324"} {
		s := &sqs{status: 200, answer: `{"Successful":[{"Id":"1","MessageId":"x","MD5OfMessageBody":"y"},{"Id":"0"}]}`}
		for i, err := range queueOf(t, s, endpoint).Send(t.Context(), []string{`{"data":"<b>"}`, "two"}) {
			if err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		r := s.requests[0]
		if r.Method != http.MethodPost || r.URL.String() != url || r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessageBatch" ||
			r.Header.Get("Content-Type") != "application/x-amz-json-1.0" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/sqs/aws4_request") {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		var got any
		if err := json.Unmarshal([]byte(s.bodies[0]), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"QueueUrl": queueURL, "Entries": []any{
			map[string]any{"Id": "0", "MessageBody": `{"data":"<b>"}`}, map[string]any{"Id": "1", "MessageBody": "two"},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestSendThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sqs  sqs
		says [2]string // of each message; "": sent
		mind bool      // one of them may be to blame
	}{
		"in part":          {sqs{status: 200, answer: `{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":"InternalError","Message":"hush","SenderFault":false}]}`}, [2]string{"", "InternalError"}, false},
		"one is forgotten": {sqs{status: 200, answer: `{"Successful":[{"Id":"1"}]}`}, [2]string{"does not say", ""}, false},
		"strangers":        {sqs{status: 200, answer: `{"Successful":[{"Id":"2"},{"Id":"-1"},{"Id":"x"},{"Id":"0"}]}`}, [2]string{"", "does not say"}, false},
		"no queue":         {sqs{status: 400, answer: `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"hush"}`}, [2]string{"400 QueueDoesNotExist", "400 QueueDoesNotExist"}, true},
		"not allowed":      {sqs{status: 403, answer: `<hush>`}, [2]string{"403", "403"}, false},
		"no JSON":          {sqs{status: 200, answer: `<hush>`}, [2]string{"does not say", "does not say"}, false},
		"endless":          {sqs{status: 200, answer: strings.Repeat("x", maxAnswer+1)}, [2]string{"too large", "too large"}, false},
		"out of reach":     {sqs{err: errors.New("no route")}, [2]string{"no route", "no route"}, false},
		"throttled":        {sqs{status: 400, answer: `{"__type":"com.amazonaws.sqs#RequestThrottled"}`}, [2]string{"Throttled", "Throttled"}, false},
		"busy":             {sqs{status: 429, answer: ``}, [2]string{"429", "429"}, false},
		"broken":           {sqs{status: 500, answer: ``}, [2]string{"500", "500"}, false},
		"a bad message":    {sqs{status: 400, answer: `{"__type":"com.amazonaws.sqs#InvalidMessageContents"}`}, [2]string{"400 InvalidMessageContents", "refuses the call"}, true},
	} {
		errs := queueOf(t, &c.sqs, "").Send(t.Context(), []string{"one", "two"})
		if len(errs) != 2 || len(c.sqs.requests) != 1 {
			t.Fatalf("%s: %v after %d calls", name, errs, len(c.sqs.requests))
		}
		for i, says := range c.says {
			if errors.Is(errs[i], errRefused) != c.mind {
				t.Errorf("%s: message %d: %v", name, i, errs[i])
			}
			if got := fmt.Sprint(errs[i]); says == "" && errs[i] != nil || !strings.Contains(got, says) || strings.Contains(got, "hush") {
				t.Errorf("%s: message %d: %v, want %q", name, i, errs[i], says)
			}
		}
	}
}

func TestQueuesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "notify", "https://", "https://sqs.eu-west-1.amazonaws.com"} {
		if _, err := NewSQS(SQSConfig{URL: url, Region: "r", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}); err == nil {
			t.Errorf("%q is a queue", url)
		}
	}
	if _, err := NewSQS(SQSConfig{URL: queueURL}); err == nil {
		t.Error("without a region")
	}
}

// From one end to the other, over a real connection: what a Notices sends on, another
// one delivers.
func TestBothQueues(t *testing.T) {
	t.Parallel()
	var onward []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct {
			Entries []struct {
				ID   string `json:"Id"`
				Body string `json:"MessageBody"`
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			t.Error(err)
		}
		answer := struct{ Successful []map[string]string }{}
		for _, e := range call.Entries {
			onward = append(onward, e.Body)
			answer.Successful = append(answer.Successful, map[string]string{"Id": e.ID})
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	q, err := NewSQS(SQSConfig{URL: server.URL + "/1/connection", Region: "eu-west-1", HTTP: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", "")})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.connect("user:ann", ids("a", 13)...)
	n := w.notices()
	n.cfg.Queue = q
	// What comes twice has one ID both times: agents show it once.
	for range 2 {
		w.wants("fan-out", n.Handle(context.Background(), batch(usersARN, `{"userId":"ann","data":"<hi>"}`)))
		w.wants("deliver", n.Handle(context.Background(), batch(connsARN, onward...)))
		onward = nil
	}
	times := map[string]int{}
	for _, p := range w.posted {
		times[p]++
	}
	for _, id := range ids("a", 13) {
		if got := times[id+` m0 "<hi>" 1772366400005`]; got != 2 {
			t.Errorf("%s got it %d times: %v", id, got, times)
		}
	}
}
