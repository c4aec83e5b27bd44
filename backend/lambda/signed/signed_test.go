package signed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func client(t *testing.T, h aws.HTTPClient) *Client {
	t.Helper()
	c, err := New(Config{
		Service: "lambda", Region: "eu-west-1", HTTP: h, Now: func() time.Time { return at },
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", "session"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func httpClient(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// What arrives carries the signature that AWS computes from what has arrived.
func TestSignature(t *testing.T) {
	t.Parallel()
	var wrong string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		hash := sha256.Sum256(body)
		// As a server sees it: nothing but what is signed, and the path as it came.
		again, _ := http.NewRequest(http.MethodPost, "http://"+r.Host+r.RequestURI, strings.NewReader(string(body)))
		_, signed, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
		signed, _, _ = strings.Cut(signed, ",")
		for name := range strings.SplitSeq(signed, ";") {
			if value := r.Header.Get(name); value != "" && name != "content-length" {
				again.Header.Set(name, value)
			}
		}
		if err := v4.NewSigner().SignHTTP(r.Context(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "hush", SessionToken: "session"},
			again, hex.EncodeToString(hash[:]), "lambda", "eu-west-1", at); err != nil {
			wrong = err.Error()
		}
		if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); got != want {
			wrong = got + " and not " + want
		}
		if r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" || !strings.Contains(signed, "x-amz-invocation-type") || string(body) != `{"a":1}` {
			wrong = "the request is " + string(body) + ", signed " + signed
		}
		w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException:http://internal.amazon.com/x/")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "later")
	}))
	t.Cleanup(server.Close)
	c := client(t, httpClient(t))
	a, err := c.Post(t.Context(), server.URL+"/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax/invocations",
		http.Header{"X-Amz-Invocation-Type": {"RequestResponse"}}, []byte(`{"a":1}`), 10)
	if err != nil || wrong != "" {
		t.Fatalf("%v; %s", err, wrong)
	}
	if a.Status != http.StatusTooManyRequests || string(a.Body) != "later" || a.Kind("") != "TooManyRequestsException" {
		t.Errorf("%+v, %s", a, a.Kind(""))
	}
}

func TestKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, body, want string }{
		{"", "com.amazonaws.sqs#QueueDoesNotExist", "QueueDoesNotExist"},
		{"ServiceException", "x#Other", "ServiceException"},
		{"", "", ""},
		{"", "a b\nc", ""},
		{"", strings.Repeat("x", 100), ""},
	} {
		a := &Answer{Header: http.Header{}}
		a.Header.Set("X-Amzn-Errortype", c.field)
		if got := a.Kind(c.body); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.field, c.body, got, c.want)
		}
	}
}

// Whether a request may have been acted on decides whether it may be sent again.
func TestNotSent(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}))
	t.Cleanup(taken.Close)
	// A port that nobody listens on.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		to      string
		notSent bool
	}{
		"nobody listens": {t.Context(), nobody, true},
		"no URL":         {t.Context(), "://", true},
		"no time left":   {over, taken.URL, true},
		"no answer":      {t.Context(), taken.URL, false},
	} {
		_, err := client(t, httpClient(t)).Post(c.ctx, c.to, nil, []byte("x"), 10)
		if err == nil || errors.Is(err, ErrNotSent) != c.notSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := client(t, httpClient(t))
	c.cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("none") })
	if _, err := c.Post(t.Context(), taken.URL, nil, []byte("x"), 10); !errors.Is(err, ErrNotSent) {
		t.Errorf("without credentials: %v", err)
	}
}

func TestAnswersThatAreTooLarge(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") }))
	t.Cleanup(server.Close)
	c := client(t, httpClient(t))
	if a, err := c.Post(t.Context(), server.URL, nil, []byte("x"), 5); err != nil || string(a.Body) != "12345" {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := c.Post(t.Context(), server.URL, nil, []byte("x"), 4); !errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNotSent) {
		t.Errorf("%v", err)
	}
}

// A transport that finds its connection dead before it has written anything takes
// another one, with the same body.
func TestBodyForAnotherConnection(t *testing.T) {
	t.Parallel()
	var bodies []string
	h := doer(func(r *http.Request) (*http.Response, error) {
		again, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		for _, body := range []io.Reader{r.Body, again} {
			text, err := io.ReadAll(body)
			if err != nil {
				return nil, err
			}
			bodies = append(bodies, string(text))
		}
		if r.ContentLength != 4 {
			t.Errorf("length %d", r.ContentLength)
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	if _, err := client(t, h).Post(t.Context(), "https://sqs/", nil, []byte("body"), 10); err != nil || len(bodies) != 2 || bodies[0] != "body" || bodies[1] != "body" {
		t.Errorf("%q, %v", bodies, err)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestNewWantsAll(t *testing.T) {
	t.Parallel()
	all := Config{Service: "sqs", Region: "r", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	for name, change := range map[string]func(*Config){
		"service": func(c *Config) { c.Service = "" }, "region": func(c *Config) { c.Region = "" }, "credentials": func(c *Config) { c.Credentials = nil },
	} {
		cfg := all
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("without %s", name)
		}
	}
	if c, err := New(all); err != nil || c.cfg.HTTP == nil || c.cfg.Now == nil {
		t.Errorf("%v", err)
	}
}
