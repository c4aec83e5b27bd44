// Package signed calls those services of AWS's of which a function needs a call or two
// alone: @connections of API Gateway, objects of S3, parameters of the Systems Manager,
// Lambda's Invoke and SQS's SendMessageBatch. A call is one HTTP request with a signature
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html), and the SDK's
// signer makes it. The SDK's clients know every operation of their services: these make
// the program larger by a quarter, build tables of all that at each start, and take several
// times as long for one call, of which each request needs two.
package signed

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Errors of Do.
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

// Domain is where the services of a region are.
func Domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
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

// Post posts a body once, and takes an answer of at most so many bytes.
func (c *Client) Post(ctx context.Context, to string, header http.Header, body []byte, most int64) (*Answer, error) {
	return c.Do(ctx, http.MethodPost, to, header, body, most)
}

// Do sends a request once, and takes an answer of at most so many bytes. An error says
// that there is no answer; it wraps ErrNotSent where the service cannot have acted.
func (c *Client) Do(ctx context.Context, method, to string, header http.Header, body []byte, most int64) (*Answer, error) {
	text := &sent{}
	r, err := http.NewRequestWithContext(ctx, method, to, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if len(body) > 0 {
		r.ContentLength = int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return text.reader(body), nil }
		r.Body = text.reader(body)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if err := c.sign(ctx, r, body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	res, err := c.cfg.HTTP.Do(r)
	if err != nil {
		if len(body) > 0 && !text.begun.Load() {
			err = fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		return nil, err
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, Header: res.Header}
	if a.Body, err = read(res, most); err != nil {
		return nil, err
	}
	return a, nil
}

// sign adds the fields that say who sends the request, body and all.
func (c *Client) sign(ctx context.Context, r *http.Request, body []byte) error {
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if c.cfg.Service == "s3" { // which wants to be told, too
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	return c.signer.SignHTTP(ctx, credentials, r, hash, c.cfg.Service, c.cfg.Region, c.cfg.Now().UTC())
}

// Presign signs a URL by which whoever has it may make one request, with whatever body,
// for as long as it lasts. What is in its query is signed, too.
func (c *Client) Presign(ctx context.Context, method, to string, lasts time.Duration) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, to, nil)
	if err != nil {
		return "", err
	}
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	query := r.URL.Query()
	query.Set("X-Amz-Expires", strconv.Itoa(int(lasts/time.Second)))
	r.URL.RawQuery = query.Encode()
	text, _, err := c.signer.PresignHTTP(ctx, credentials, r, "UNSIGNED-PAYLOAD", c.cfg.Service, c.cfg.Region, c.cfg.Now().UTC())
	return text, err
}

// Policy gives the fields by which a form that obeys the policy may be posted: the
// policy with what has to be in it of them, and its signature.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
func (c *Client) Policy(ctx context.Context, expires time.Time, fields map[string]string, conditions ...any) (map[string]string, error) {
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	const algorithm = "AWS4-HMAC-SHA256"
	now := c.cfg.Now().UTC()
	scope := []string{now.Format("20060102"), c.cfg.Region, c.cfg.Service, "aws4_request"}
	form := map[string]string{
		"X-Amz-Algorithm": algorithm, "X-Amz-Credential": credentials.AccessKeyID + "/" + strings.Join(scope, "/"), "X-Amz-Date": now.Format("20060102T150405Z"),
	}
	if credentials.SessionToken != "" {
		form["X-Amz-Security-Token"] = credentials.SessionToken
	}
	maps.Copy(form, fields)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		conditions = append(conditions, map[string]string{name: form[name]})
	}
	text, err := json.Marshal(map[string]any{"expiration": expires.UTC().Format("2006-01-02T15:04:05.000Z"), "conditions": conditions})
	if err != nil {
		return nil, err
	}
	policy := base64.StdEncoding.EncodeToString(text)
	key := []byte("AWS4" + credentials.SecretAccessKey)
	for _, part := range append(scope, policy) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	form["policy"], form["X-Amz-Signature"] = policy, hex.EncodeToString(key)
	return form, nil
}

// read reads a body of at most so many bytes, whose length the answer may tell.
func read(res *http.Response, most int64) ([]byte, error) {
	if res.ContentLength > most {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, most)
	}
	var b bytes.Buffer
	if res.ContentLength > 0 {
		b.Grow(int(res.ContentLength) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(res.Body, most+1)); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if int64(b.Len()) > most {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, most)
	}
	return b.Bytes(), nil
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
