package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

const key = "AAAAAAAAAAAAAAA_"

func TestRequestBody(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b := s.bucket(t)
	body := bytes.Repeat([]byte{0, 1, 0xff, '\r', '\n'}, 100_000)
	url, err := b.PutRequest(t.Context(), key, body)
	if err != nil {
		t.Fatal(err)
	}
	if status, got := s.get(t, url); status != http.StatusOK || !bytes.Equal(got, body) {
		t.Fatalf("status %d, %d bytes; want the body of %d", status, len(got), len(body))
	}
	for name, bad := range map[string]string{
		"another key":     strings.Replace(url, key, "BAAAAAAAAAAAAAA_", 1),
		"another folder":  strings.Replace(url, requests+key, answers+key, 1),
		"longer validity": strings.Replace(url, "X-Amz-Expires=60", "X-Amz-Expires=61", 1),
	} {
		if status, got := s.get(t, bad); bad == url || status != http.StatusForbidden {
			t.Errorf("%s: status %d, %q", name, status, got)
		}
	}
	s.later(Expires - 5*time.Second)
	if status, _ := s.get(t, url); status != http.StatusOK {
		t.Errorf("just before it expires: status %d", status)
	}
	s.later(Expires + time.Second)
	if status, _ := s.get(t, url); status != http.StatusForbidden {
		t.Errorf("after a minute: status %d", status)
	}
}

func TestAnswerBody(t *testing.T) {
	t.Parallel()
	const limit = 1000
	whole := bytes.Repeat([]byte{0xfe}, limit)
	for _, c := range []struct {
		name   string
		body   []byte
		change func(*wire.Upload)
		later  time.Duration
		status int
	}{
		{"as offered", whole, nil, 0, http.StatusNoContent},
		{"one byte", whole[:1], nil, 0, http.StatusNoContent},
		{"nothing", nil, nil, 0, http.StatusBadRequest},
		{"a byte too many", append(bytes.Clone(whole), 'x'), nil, 0, http.StatusBadRequest},
		{"just in time", whole, nil, Expires - 5*time.Second, http.StatusNoContent},
		{"too late", whole, nil, Expires + time.Second, http.StatusForbidden},
		{"another key", whole, func(u *wire.Upload) { u.Fields["key"] = answers + "BAAAAAAAAAAAAAA_" }, 0, http.StatusForbidden},
		{"a field that the policy does not name", whole, func(u *wire.Upload) { u.Fields["acl"] = "public-read" }, 0, http.StatusForbidden},
		{"another policy", whole, func(u *wire.Upload) { u.Fields["policy"] = u.Fields["policy"][4:] }, 0, http.StatusForbidden},
		{"no signature", whole, func(u *wire.Upload) { delete(u.Fields, "x-amz-signature"); delete(u.Fields, "X-Amz-Signature") }, 0, http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			b := s.bucket(t)
			u, err := b.OfferAnswer(t.Context(), key, limit)
			if err != nil {
				t.Fatal(err)
			}
			if u.MaxBytes != limit {
				t.Errorf("max_bytes %d", u.MaxBytes)
			}
			if c.change != nil {
				c.change(u)
			}
			s.later(c.later)
			status := s.form(t, u, c.body)
			if status != c.status {
				t.Fatalf("status %d, want %d", status, c.status)
			}
			got, err := b.Answer(t.Context(), key, limit)
			if status == http.StatusNoContent {
				if err != nil || !bytes.Equal(got, c.body) {
					t.Errorf("read back %d bytes, %v", len(got), err)
				}
			} else if !errors.Is(err, ErrMissing) {
				t.Errorf("what was refused reads as %d bytes, %v; want ErrMissing", len(got), err)
			}
		})
	}
}

// The form of the wire protocol fits what agents accept.
func TestOfferFitsTheWire(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	u, err := s.bucket(t).OfferAnswer(t.Context(), key, wire.MaxParts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := wire.Encode(&wire.HTTPRequest{RequestID: "r", Method: "GET", URI: "/", Upload: u})
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.DecodeDeclared(text, wire.MaxGatewayMessage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u, m.(*wire.HTTPRequest).Upload); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(string(text), s.credentials.SecretAccessKey) {
		t.Error("the secret key is in the message")
	}
}

// An answer that is larger than it may be is not read: the bound of the form and that
// of the reader are two things.
func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b := s.bucket(t)
	u, err := b.OfferAnswer(t.Context(), key, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if status := s.form(t, u, make([]byte, 1000)); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	if got, err := b.Answer(t.Context(), key, 999); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d bytes, %v; want ErrTooLarge", len(got), err)
	}
	s.hideLengths = true
	if got, err := b.Answer(t.Context(), key, 999); !errors.Is(err, ErrTooLarge) {
		t.Errorf("without Content-Length: %d bytes, %v; want ErrTooLarge", len(got), err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := newStore(t).bucket(t)
	for _, bad := range []string{"", "../requests/x", "a/b", "a b", "ä", strings.Repeat("a", maxKey+1)} {
		_, put := b.PutRequest(t.Context(), bad, nil)
		_, offer := b.OfferAnswer(t.Context(), bad, 1)
		_, read := b.Answer(t.Context(), bad, 1)
		if put == nil || offer == nil || read == nil {
			t.Errorf("%q: %v, %v, %v", bad, put, offer, read)
		}
	}
}

func TestPutFails(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b := s.bucket(t)
	s.refuse = http.StatusForbidden
	if _, err := b.Answer(t.Context(), key, 1); !errors.Is(err, ErrMissing) {
		t.Errorf("a missing body of a bucket that may not be listed: %v", err)
	}
	s.refuse = http.StatusServiceUnavailable
	if url, err := b.PutRequest(t.Context(), key, []byte("x")); err == nil {
		t.Errorf("a URL of nothing: %s", url)
	}
	if _, err := b.Answer(t.Context(), key, 1); err == nil || errors.Is(err, ErrMissing) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.PutRequest(ctx, key, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A store that is busy for a moment is asked again, and not for ever.
func TestBusyStore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b := s.bucket(t)
	s.busy.Store(attempts - 1)
	url, err := b.PutRequest(t.Context(), key, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if status, got := s.get(t, url); status != http.StatusOK || string(got) != "x" {
		t.Errorf("status %d, %q", status, got)
	}
	s.busy.Store(attempts + 1)
	if _, err := b.PutRequest(t.Context(), key, []byte("x")); err == nil || !strings.Contains(err.Error(), "503") || s.busy.Load() != 1 {
		t.Errorf("%v, %d more calls are refused", err, s.busy.Load())
	}
}

// Without an endpoint of its own the bucket is AWS's, in whatever part of the world.
func TestHosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ region, bucket, want string }{
		{"eu-west-1", "bodies", "https://bodies.s3.eu-west-1.amazonaws.com/"},
		{"cn-north-1", "bodies", "https://bodies.s3.cn-north-1.amazonaws.com.cn/"},
		{"eu-west-1", "my.bodies", "https://s3.eu-west-1.amazonaws.com/my.bodies/"},
	} {
		b, err := New(Config{Bucket: c.bucket, Region: c.region, Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", "")})
		if err != nil {
			t.Fatal(err)
		}
		u, err := b.OfferAnswer(t.Context(), key, 1)
		if err != nil || u.URL != c.want {
			t.Errorf("%+v, %v; want %s", u, err, c.want)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("a bucket of nothing")
	}
	if _, err := New(Config{Bucket: "bodies", Region: "eu-west-1"}); err == nil {
		t.Error("without credentials")
	}
}

// form posts as an agent does.
func (s *fakeStore) form(t *testing.T, u *wire.Upload, body []byte) int {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range u.Fields {
		w.WriteField(name, value)
	}
	file, err := w.CreateFormFile("file", "body")
	if err != nil {
		t.Fatal(err)
	}
	file.Write(body)
	w.Close()
	answer, err := s.client.Post(u.URL, w.FormDataContentType(), &b)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func (s *fakeStore) get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	answer, err := s.client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}
