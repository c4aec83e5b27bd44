// Package signed calls those services of AWS's of which a function needs one call
// alone: Lambda's Invoke and SQS's SendMessageBatch. The SDK's clients of the two make
// the program a tenth larger, and its start slower; a call is one HTTP request with a
// signature (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html).
package signed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Errors of Post.
var (
	// ErrNotSent: nothing of the request has left, so that nobody has acted on it.
	ErrNotSent = errors.New("the request was not sent")
	// ErrTooLarge: the answer is larger than the caller takes.
	ErrTooLarge = errors.New("the answer is too large")
)

// Config is what a Client signs with.
type Config struct {
	// Service is the service's name in signatures, such as "sqs".
	Service     string
	Region      string
	Credentials aws.CredentialsProvider
	// HTTP is the client to use; http.DefaultClient by default.
	HTTP aws.HTTPClient
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Client calls one service. It is safe for use by many goroutines.
type Client struct {
	cfg    Config
	signer *v4.Signer
}

// New makes a Client. It opens no connection yet.
func New(cfg Config) (*Client, error) {
	if cfg.Service == "" || cfg.Region == "" || cfg.Credentials == nil {
		return nil, errors.New("a signed call needs a service, a region and credentials")
	}
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, signer: v4.NewSigner()}, nil
}

// Answer is what the service answered, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Kind is the name of the error that a service answers with, without its namespace,
// or "". It says it in a field or in the body, whatever its protocol.
func (a *Answer) Kind(inBody string) string {
	kind := a.Header.Get("X-Amzn-Errortype")
	if kind == "" {
		kind = inBody
	}
	kind = kind[strings.LastIndexByte(kind, '#')+1:]
	kind, _, _ = strings.Cut(kind, ":")
	const most = 80
	if len(kind) > most || strings.ContainsFunc(kind, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return kind
}

// Post posts a body once, and takes an answer of at most so many bytes. An error says
// that there is no answer; it wraps ErrNotSent where the service cannot have acted.
func (c *Client) Post(ctx context.Context, to string, header http.Header, body []byte, most int64) (*Answer, error) {
	text := &sent{}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, text.reader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return text.reader(body), nil }
	for name, values := range header {
		r.Header[name] = values
	}
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	hash := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), c.cfg.Service, c.cfg.Region, c.cfg.Now().UTC()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	res, err := c.cfg.HTTP.Do(r)
	if err != nil {
		if !text.begun.Load() {
			err = fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		return nil, err
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, Header: res.Header}
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, most+1)); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(a.Body)) > most {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, most)
	}
	return a, nil
}

// sent knows whether any of a body was taken to be sent. What comes before it, the
// connection and its handshake, a service does not act on.
type sent struct{ begun atomic.Bool }

func (s *sent) reader(body []byte) io.ReadCloser {
	return &sentReader{s, bytes.NewReader(body)}
}

type sentReader struct {
	s *sent
	r *bytes.Reader
}

func (r *sentReader) Read(p []byte) (int, error) {
	r.s.begun.Store(true)
	return r.r.Read(p)
}

func (r *sentReader) Close() error { return nil }
