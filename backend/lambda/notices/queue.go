package notices

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/backend/lambda/signed"
)

// SQSConfig is how to reach a queue.
type SQSConfig struct {
	// URL is the queue's.
	URL    string
	Region string
	// Endpoint is the base of SQS's API, where it is not the one of URL.
	Endpoint    string
	Credentials aws.CredentialsProvider
	HTTP        aws.HTTPClient
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// SQS puts messages on one queue. It is safe for use by many goroutines.
type SQS struct {
	client   *signed.Client
	queue    string
	endpoint string
}

// NewSQS makes an SQS. It calls nobody yet.
func NewSQS(cfg SQSConfig) (*SQS, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Path == "" {
		return nil, fmt.Errorf("%q is no URL of a queue", cfg.URL)
	}
	client, err := signed.New(signed.Config{Service: "sqs", Region: cfg.Region, Credentials: cfg.Credentials, HTTP: cfg.HTTP, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	s := &SQS{client: client, queue: cfg.URL, endpoint: cfg.Endpoint}
	if s.endpoint == "" {
		s.endpoint = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
	}
	return s, nil
}

// maxAnswer bounds what SQS answers about ten messages.
const maxAnswer = 64 << 10

// errUnsure: SQS does not say what became of the message.
var errUnsure = errors.New("SQS does not say whether it took the message")

// errRefused: SQS refuses a call as a whole, which one of its messages may be to blame for.
var errRefused = errors.New("SQS refuses the call")

// Send puts up to maxSend messages on the queue at once, of up to maxSendBytes in all.
// It says of each what became of it.
//
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
func (s *SQS) Send(ctx context.Context, bodies []string) []error {
	errs := make([]error, len(bodies))
	fill := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	type entry struct {
		ID   string `json:"Id"`
		Body string `json:"MessageBody"`
	}
	request := struct {
		QueueURL string  `json:"QueueUrl"`
		Entries  []entry `json:"Entries"`
	}{QueueURL: s.queue}
	for i, body := range bodies {
		request.Entries = append(request.Entries, entry{strconv.Itoa(i), body})
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(request); err != nil {
		return fill(err)
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS.SendMessageBatch"}}
	a, err := s.client.Post(ctx, s.endpoint, header, text.Bytes(), maxAnswer)
	if err != nil {
		return fill(fmt.Errorf("send to the queue: %w", err))
	}
	var answer struct {
		Type       string `json:"__type"`
		Successful []struct {
			ID string `json:"Id"`
		}
		Failed []struct {
			ID   string `json:"Id"`
			Code string
		}
	}
	readable := json.Unmarshal(a.Body, &answer) == nil
	if a.Status != http.StatusOK {
		kind := a.Kind(answer.Type)
		err := fmt.Errorf("SQS answers with status %d %s", a.Status, kind)
		if messages(a.Status, kind) {
			err = fmt.Errorf("%w: %w", errRefused, err)
		}
		return fill(err)
	}
	fill(errUnsure)
	if !readable {
		return errs
	}
	set := func(id string, err error) {
		if i, e := strconv.Atoi(id); e == nil && i >= 0 && i < len(errs) {
			errs[i] = err
		}
	}
	for _, done := range answer.Successful {
		set(done.ID, nil)
	}
	for _, failed := range answer.Failed {
		set(failed.ID, fmt.Errorf("SQS does not take the message: %.80q", failed.Code))
	}
	return errs
}

// messages reports whether a refusal may be about the messages: not about who calls,
// nor about too many calls.
func messages(status int, kind string) bool {
	return status >= 400 && status < 500 && status != http.StatusForbidden && status != http.StatusTooManyRequests &&
		!strings.Contains(kind, "Throttl") && !strings.Contains(kind, "OverLimit")
}
