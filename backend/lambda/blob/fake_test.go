package blob

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

const bucketName = "culvert-bodies"

// fakeStore is gofakes3 behind a guard that enforces what S3 does and gofakes3 does
// not: signatures, their expiry, and the policies of forms.
type fakeStore struct {
	server      *httptest.Server
	client      *http.Client
	credentials aws.Credentials
	offset      atomic.Int64 // of the store's clock
	hideLengths bool
	refuse      int          // status for everything, 0 for none
	busy        atomic.Int32 // how many calls are told to slow down
}

func newStore(t *testing.T) *fakeStore {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucketName); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	s := &fakeStore{credentials: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret key of the test", SessionToken: "session token"}}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, why := s.check(r); status != 0 {
			t.Logf("%s %s: %d, %s", r.Method, r.URL.Path, status, why)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			code := "AccessDenied"
			if status == http.StatusServiceUnavailable {
				code = "SlowDown"
			}
			io.WriteString(w, "<Error><Code>"+code+"</Code><Message>"+why+"</Message></Error>")
			return
		}
		switch {
		case r.Method == http.MethodPost:
			recorder := httptest.NewRecorder()
			fake.ServeHTTP(recorder, r)
			if recorder.Code == http.StatusOK {
				recorder.Code = http.StatusNoContent // what S3 says unless a field asks for more
			}
			w.WriteHeader(recorder.Code)
		case s.hideLengths:
			recorder := httptest.NewRecorder()
			fake.ServeHTTP(recorder, r)
			w.WriteHeader(recorder.Code)
			w.(http.Flusher).Flush()
			w.Write(recorder.Body.Bytes())
		default:
			fake.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.server.Close)
	s.client = s.server.Client()
	return s
}

func (s *fakeStore) bucket(t *testing.T) *Bucket {
	t.Helper()
	b, err := New(Config{
		Bucket: bucketName, Region: "eu-west-1", Endpoint: s.server.URL,
		Credentials: credentials.StaticCredentialsProvider{Value: s.credentials}, HTTP: s.client,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// later moves the store's clock to d after now.
func (s *fakeStore) later(d time.Duration) { s.offset.Store(int64(d)) }

func (s *fakeStore) now() time.Time { return time.Now().Add(time.Duration(s.offset.Load())) }

// check says what S3 would refuse a request with, 0 for nothing.
func (s *fakeStore) check(r *http.Request) (status int, why string) {
	switch {
	case s.busy.Add(-1) >= 0:
		return http.StatusServiceUnavailable, "slow down"
	case s.refuse != 0:
		return s.refuse, "refused"
	case r.Method == http.MethodPost:
		return s.checkForm(r)
	case r.URL.Query().Get("X-Amz-Signature") != "":
		return s.checkURL(r)
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+s.credentials.AccessKeyID+"/"):
		return http.StatusForbidden, "not signed"
	}
	return 0, ""
}

// checkURL signs the request again, and compares.
func (s *fakeStore) checkURL(r *http.Request) (int, string) {
	q := r.URL.Query()
	signed, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	seconds, err2 := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || err2 != nil || seconds > 60 {
		return http.StatusForbidden, "no times, or too long ones"
	}
	if s.now().After(signed.Add(time.Duration(seconds) * time.Second)) {
		return http.StatusForbidden, "expired"
	}
	again := &http.Request{Method: r.Method, Host: r.Host, Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path}}
	given := q.Get("X-Amz-Signature")
	for _, name := range []string{"X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Security-Token"} {
		q.Del(name)
	}
	again.URL.RawQuery = q.Encode()
	text, _, err := v4.NewSigner().PresignHTTP(r.Context(), s.credentials, again, "UNSIGNED-PAYLOAD", "s3", "eu-west-1", signed,
		func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		return http.StatusForbidden, err.Error()
	}
	u, err := url.Parse(text)
	if err != nil || !hmac.Equal([]byte(u.Query().Get("X-Amz-Signature")), []byte(given)) {
		return http.StatusForbidden, "signature does not match"
	}
	return 0, ""
}

// checkForm checks the policy of a form, its signature, and that the form obeys it.
func (s *fakeStore) checkForm(r *http.Request) (int, string) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	form, err := multipart.NewReader(bytes.NewReader(raw), params["boundary"]).ReadForm(1 << 20)
	if err != nil || len(form.File["file"]) != 1 {
		return http.StatusBadRequest, "no file"
	}
	fields := map[string]string{"bucket": bucketName}
	for name, values := range form.Value {
		fields[strings.ToLower(name)] = values[0]
	}
	if status, why := s.checkPolicySignature(fields); status != 0 {
		return status, why
	}
	return s.obeys(fields, form.File["file"][0].Size)
}

func (s *fakeStore) checkPolicySignature(fields map[string]string) (int, string) {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	scope := strings.Split(fields["x-amz-credential"], "/")
	if len(scope) != 5 || scope[0] != s.credentials.AccessKeyID || scope[2] != "eu-west-1" || scope[3] != "s3" {
		return http.StatusForbidden, "credential"
	}
	key := []byte("AWS4" + s.credentials.SecretAccessKey)
	for _, part := range scope[1:] {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, fields["policy"])); !hmac.Equal([]byte(want), []byte(fields["x-amz-signature"])) {
		return http.StatusForbidden, "signature does not match"
	}
	return 0, ""
}

func (s *fakeStore) obeys(fields map[string]string, size int64) (int, string) {
	text, err := base64.StdEncoding.DecodeString(fields["policy"])
	if err != nil {
		return http.StatusForbidden, "policy"
	}
	var policy struct {
		Expiration time.Time `json:"expiration"`
		Conditions []any     `json:"conditions"`
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		return http.StatusForbidden, err.Error()
	}
	if s.now().After(policy.Expiration) {
		return http.StatusForbidden, "expired"
	}
	named := map[string]bool{"policy": true, "x-amz-signature": true}
	bounded := false
	for _, c := range policy.Conditions {
		switch c := c.(type) {
		case map[string]any:
			for name, value := range c {
				name = strings.ToLower(name)
				named[name] = true
				if fields[name] != value {
					return http.StatusForbidden, name + " is another one"
				}
			}
		case []any:
			if len(c) != 3 || c[0] != "content-length-range" {
				return http.StatusForbidden, "a condition that this store does not know"
			}
			bounded = true
			if float64(size) < c[1].(float64) || float64(size) > c[2].(float64) {
				return http.StatusBadRequest, "EntityTooLarge, or too small"
			}
		}
	}
	for name := range fields {
		if !named[name] {
			return http.StatusForbidden, "extra input field " + name
		}
	}
	if !bounded || !named["key"] {
		return http.StatusForbidden, "the policy is too wide"
	}
	return 0, ""
}
