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
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

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
	// Client has the bucket's region and the function's credentials.
	Client *s3.Client
	Bucket string
}

// Bucket passes bodies. It is safe for use by many goroutines.
type Bucket struct {
	client    *s3.Client
	presigner *s3.PresignClient
	name      string
}

// New makes a Bucket. It calls nobody.
func New(cfg Config) (*Bucket, error) {
	if cfg.Client == nil || cfg.Bucket == "" {
		return nil, errors.New("blob: a client and the bucket's name are needed: see CULVERT_BUCKET")
	}
	return &Bucket{
		client: cfg.Client, name: cfg.Bucket,
		presigner: s3.NewPresignClient(cfg.Client, s3.WithPresignExpires(Expires)),
	}, nil
}

// PutRequest keeps a request's body and gives the URL by which whoever has it gets it.
func (b *Bucket) PutRequest(ctx context.Context, key string, body []byte) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	put, cancel := context.WithTimeout(ctx, putWithin)
	defer cancel()
	_, err := b.client.PutObject(put, &s3.PutObjectInput{
		Bucket: &b.name, Key: aws.String(requests + key), Body: bytes.NewReader(body),
		ContentLength: aws.Int64(int64(len(body))), ContentType: aws.String("application/octet-stream"),
	})
	if err != nil {
		return "", fmt.Errorf("put a request's body: %w", err)
	}
	signed, err := b.presigner.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(requests + key)})
	if err != nil {
		return "", fmt.Errorf("sign the URL of a request's body: %w", err)
	}
	return signed.URL, nil
}

// OfferAnswer makes the form by which one body of 1 to max bytes can be put.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
func (b *Bucket) OfferAnswer(ctx context.Context, key string, max int64) (*wire.Upload, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	// The condition that the key is this one and no other, the presigner adds itself.
	signed, err := b.presigner.PresignPostObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: aws.String(answers + key)},
		func(o *s3.PresignPostOptions) {
			o.Expires = Expires
			o.Conditions = []any{[]any{"content-length-range", 1, max}}
		})
	if err != nil {
		return nil, fmt.Errorf("sign the form for an answer's body: %w", err)
	}
	return &wire.Upload{URL: signed.URL, Fields: signed.Values, MaxBytes: max}, nil
}

// Answer reads the body that was put, if it is at most max bytes long.
func (b *Bucket) Answer(ctx context.Context, key string, max int64) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(answers + key)})
	var missing *types.NoSuchKey
	var api smithy.APIError
	switch {
	case errors.As(err, &missing):
		return nil, ErrMissing
	case errors.As(err, &api) && api.ErrorCode() == "AccessDenied":
		// What S3 says of a missing key to those who may not list the bucket.
		return nil, fmt.Errorf("%w, or this function may not read it", ErrMissing)
	case err != nil:
		return nil, fmt.Errorf("get an answer's body: %w", err)
	}
	defer out.Body.Close()
	if aws.ToInt64(out.ContentLength) > max {
		return nil, ErrTooLarge
	}
	var body bytes.Buffer
	body.Grow(int(aws.ToInt64(out.ContentLength)) + bytes.MinRead)
	if _, err := body.ReadFrom(io.LimitReader(out.Body, max+1)); err != nil {
		return nil, fmt.Errorf("get an answer's body: %w", err)
	}
	if int64(body.Len()) > max {
		return nil, ErrTooLarge
	}
	return body.Bytes(), nil
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
