// Package blob passes large bodies by an object store (S3): the environment that waits
// for an answer puts the request's body there, and the agent gets it by a URL that is
// signed for that; the agent puts the answer's body there by a form that is signed for
// that. Neither has to fit messages, whose price and number grow with the body.
//
// An agent is given no more than it needs: one key, which nobody can guess since it
// is made of the request's nonce; one action; one minute; and, for what it puts, a
// bound on the size that the store itself enforces. Objects are deleted by the
// bucket's lifecycle rule.
package blob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/backend/lambda/signed"
	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

// The folders of the bucket.
const (
	requests = "requests/"
	answers  = "answers/"
)

const (
	// Expires is how long a signed URL or form may be used.
	Expires = 60 * time.Second
	// putWithin bounds putting a request's body: it can go another way.
	putWithin = 5 * time.Second
	// maxKey bounds a key; those of tickets have 16 characters.
	maxKey = 64
	// attempts bounds how often a call is made that fails for what passes, with a pause
	// between that doubles.
	attempts   = 3
	firstPause = 100 * time.Millisecond
	// maxRefusal bounds what the store answers in place of a body.
	maxRefusal = 64 << 10
)

// Errors of a Bucket.
var (
	// ErrMissing: nothing was put under the key.
	ErrMissing = errors.New("no body was put where it is said to be")
	// ErrTooLarge: more was put than may be.
	ErrTooLarge = errors.New("the body that was put is over its bound")
)

// Config says where the bucket is.
type Config struct {
	Bucket string
	// Region is the bucket's.
	Region string
	// Endpoint is the base of the store where it is not AWS's own; buckets have no names
	// of hosts there.
	Endpoint    string
	Credentials aws.CredentialsProvider // the function's
	// HTTP is the client to use; http.DefaultClient by default.
	HTTP aws.HTTPClient
}

// Bucket passes bodies. It is safe for use by many goroutines.
type Bucket struct {
	client *signed.Client
	name   string
	url    string
}

// New makes a Bucket. It calls nobody.
func New(cfg Config) (*Bucket, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("blob: the bucket's name is needed: see CULVERT_BUCKET")
	}
	client, err := signed.New(signed.Config{Service: "s3", Region: cfg.Region, Credentials: cfg.Credentials, HTTP: cfg.HTTP})
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	b := &Bucket{client: client, name: cfg.Bucket}
	host := "s3." + cfg.Region + "." + signed.Domain(cfg.Region)
	switch {
	case cfg.Endpoint != "":
		b.url = strings.TrimSuffix(cfg.Endpoint, "/") + "/" + cfg.Bucket
	case strings.Contains(cfg.Bucket, "."): // no certificate is for such a host
		b.url = "https://" + host + "/" + cfg.Bucket
	default:
		b.url = "https://" + cfg.Bucket + "." + host
	}
	return b, nil
}

// PutRequest keeps a request's body and gives the URL by which whoever has it gets it.
func (b *Bucket) PutRequest(ctx context.Context, key string, body []byte) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	put, cancel := context.WithTimeout(ctx, putWithin)
	defer cancel()
	a, err := b.call(put, http.MethodPut, requests+key, body, maxRefusal)
	if err == nil {
		err = refusal(a)
	}
	if err != nil {
		return "", fmt.Errorf("put a request's body: %w", err)
	}
	text, err := b.client.Presign(ctx, http.MethodGet, b.url+"/"+requests+key, Expires)
	if err != nil {
		return "", fmt.Errorf("sign the URL of a request's body: %w", err)
	}
	return text, nil
}

// OfferAnswer makes the form by which one body of 1 to max bytes can be put.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
func (b *Bucket) OfferAnswer(ctx context.Context, key string, max int64) (*wire.Upload, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	fields, err := b.client.Policy(ctx, time.Now().Add(Expires), map[string]string{"key": answers + key},
		map[string]string{"bucket": b.name}, []any{"content-length-range", 1, max})
	if err != nil {
		return nil, fmt.Errorf("sign the form for an answer's body: %w", err)
	}
	return &wire.Upload{URL: b.url + "/", Fields: fields, MaxBytes: max}, nil
}

// Answer reads the body that was put, if it is at most max bytes long.
func (b *Bucket) Answer(ctx context.Context, key string, max int64) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	a, err := b.call(ctx, http.MethodGet, answers+key, nil, max)
	switch {
	case errors.Is(err, signed.ErrTooLarge):
		return nil, ErrTooLarge
	case err != nil:
		return nil, fmt.Errorf("get an answer's body: %w", err)
	case a.Status == http.StatusOK && int64(len(a.Body)) > max:
		return nil, ErrTooLarge
	case a.Status == http.StatusOK:
		return a.Body, nil
	}
	switch code(a) {
	case "NoSuchKey":
		return nil, ErrMissing
	case "AccessDenied":
		// What S3 says of a missing key to those who may not list the bucket.
		return nil, fmt.Errorf("%w, or this function may not read it", ErrMissing)
	}
	return nil, fmt.Errorf("get an answer's body: %w", refusal(a))
}

// call makes a call about an object, and again if it fails for what may have passed:
// nothing comes of making it twice. An answer has at most so many bytes, or is a refusal.
func (b *Bucket) call(ctx context.Context, method, key string, body []byte, most int64) (*signed.Answer, error) {
	var header http.Header
	if method == http.MethodPut {
		header = http.Header{"Content-Type": {"application/octet-stream"}}
	}
	for try, pause := 1, firstPause; ; try, pause = try+1, 2*pause {
		a, err := b.client.Do(ctx, method, b.url+"/"+key, header, body, max(most, maxRefusal))
		passes := err != nil && !errors.Is(err, signed.ErrTooLarge) || err == nil && (a.Status >= 500 || a.Status == http.StatusTooManyRequests)
		if !passes || try == attempts || timer.Wait(ctx, pause/2+rand.N(pause/2)) != nil {
			return a, err
		}
	}
}

// refusal says why the store did not do what it was asked for, nil if it did.
func refusal(a *signed.Answer) error {
	if a.Status == http.StatusOK {
		return nil
	}
	return fmt.Errorf("the store answers with status %d %.80q", a.Status, code(a))
}

// code names an error of S3's. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func code(a *signed.Answer) string {
	_, code, _ := strings.Cut(string(a.Body), "<Code>")
	code, _, _ = strings.Cut(code, "</Code>")
	return code
}

// checkKey wants what is a name in a folder whatever it holds.
func checkKey(key string) error {
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return fmt.Errorf("%.20q is no key of a body", key)
		}
	}
	if key == "" || len(key) > maxKey {
		return errors.New("a key of a body is 1 to 64 characters")
	}
	return nil
}
