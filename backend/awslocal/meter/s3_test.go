package meter

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// A function's own calls, and those of whom it gave a presigned URL or form, are the
// function's.
func TestS3(t *testing.T) {
	t.Parallel()
	files := s3mem.New()
	if err := files.CreateBucket("bodies"); err != nil {
		t.Fatal(err)
	}
	behind := httptest.NewServer(gofakes3.New(files, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(behind.Close)
	upstream, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	m := New()
	server := httptest.NewServer(m.S3(S3{Upstream: upstream, Callers: callers}))
	t.Cleanup(server.Close)
	options := s3.Options{Region: "us-east-1", BaseEndpoint: &server.URL, UsePathStyle: true, Credentials: login("agents", token), RetryMaxAttempts: 1}
	c := s3.New(options)
	body := strings.Repeat("0123456789", 10_000)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bodies"), Key: aws.String("requests/a"), Body: strings.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	presign := s3.NewPresignClient(c)
	get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bodies"), Key: aws.String("requests/a")})
	if err != nil {
		t.Fatal(err)
	}
	if status, text := fetch(t, http.MethodGet, get.URL, "", nil); status != http.StatusOK || text != body {
		t.Errorf("presigned URL: %d, %d bytes", status, len(text))
	}
	form, err := presign.PresignPostObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bodies"), Key: aws.String("answers/b")})
	if err != nil {
		t.Fatal(err)
	}
	kind, text := multipartForm(t, form.Values, body)
	if status, said := fetch(t, http.MethodPost, form.URL, kind, text); status/100 != 2 {
		t.Errorf("presigned form: %d %s", status, said)
	}
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bodies"), Key: aws.String("answers/b")})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != body {
		t.Errorf("put by the form: %d bytes, %v", len(got), err)
	}
	want := []Call{
		{"agents", "s3:GetObject", "arn:aws:s3:::bodies/answers/b"}, {"agents", "s3:GetObject", "arn:aws:s3:::bodies/requests/a"},
		{"agents", "s3:PutObject", "arn:aws:s3:::bodies/answers/b"}, {"agents", "s3:PutObject", "arn:aws:s3:::bodies/requests/a"},
	}
	if diff := cmp.Diff(want, m.Calls()); diff != "" {
		t.Errorf("calls: -want +got:\n%s", diff)
	}
	used := m.Usage()
	if used.Puts != 2 || used.Gets != 2 {
		t.Errorf("counted %+v", used)
	}

	// Nobody else gets in.
	options.Credentials = credentials.NewStaticCredentialsProvider("key", "secret", "")
	if _, err := s3.New(options).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bodies"), Key: aws.String("requests/a")}); err == nil {
		t.Error("a stranger reads")
	}
	if status, _ := fetch(t, http.MethodGet, server.URL+"/bodies/requests/a", "", nil); status != http.StatusForbidden {
		t.Errorf("without a signature: %d", status)
	}
	kind, text = multipartForm(t, map[string]string{"key": "answers/c"}, body)
	if status, _ := fetch(t, http.MethodPost, server.URL+"/bodies", kind, text); status != http.StatusForbidden {
		t.Errorf("a form without a signature: %d", status)
	}
	if status, _ := fetch(t, http.MethodDelete, get.URL, "", nil); status != http.StatusForbidden {
		t.Errorf("DELETE: %d", status)
	}
	if m.Usage() != used {
		t.Errorf("counted what was refused: %+v", m.Usage())
	}
}

func multipartForm(t *testing.T, fields map[string]string, file string) (contentType string, text []byte) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile("file", "body")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(part, file)
	form.Close()
	return form.FormDataContentType(), b.Bytes()
}

func fetch(t *testing.T, method, url, contentType string, body []byte) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
