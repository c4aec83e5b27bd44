package keys

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"culvert/backend/awslocal/ssm"
)

func systemsManager(t *testing.T, h http.Handler) *SSM {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s, err := NewSSM(SSMConfig{Region: "eu-west-1", Endpoint: server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", ""), HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A parameter's life, by the service's own protocol.
func TestParameters(t *testing.T) {
	t.Parallel()
	store := ssm.New("eu-west-1", "123456789012")
	var calls []string
	s := systemsManager(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.Header.Get("X-Amz-Target"))
		if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential=AKID/") || !strings.Contains(auth, "/eu-west-1/ssm/aws4_request") || !strings.Contains(auth, "x-amz-target") {
			t.Errorf("signed %s", auth)
		}
		store.ServeHTTP(w, r)
	}))
	ctx := t.Context()
	if _, err := s.GetParameter(ctx, name); !errors.Is(err, ErrMissing) {
		t.Errorf("of nothing: %v", err)
	}
	const first, second = `{"a":"<&>\\"}`, "second"
	if err := s.PutParameter(ctx, name, first, "what it is", false); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetParameter(ctx, name); got != first || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.PutParameter(ctx, name, second, "", false); !errors.Is(err, ErrExists) {
		t.Errorf("a second one: %v", err)
	}
	if err := s.PutParameter(ctx, name, second, "", true); err != nil {
		t.Error(err)
	}
	if got, ok := store.Value(name); got != second || !ok {
		t.Errorf("%q is kept", got)
	}
	if err := s.DeleteParameter(ctx, name); err != nil {
		t.Error(err)
	}
	if err := s.DeleteParameter(ctx, name); !errors.Is(err, ErrMissing) {
		t.Errorf("deleted twice: %v", err)
	}
	if len(calls) != 7 || calls[0] != "AmazonSSM.GetParameter" {
		t.Errorf("%q", calls)
	}
}

// What may be gone soon is told from what stays.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		body    string
		passing bool
		said    string
	}{
		{400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`, true, "Rate exceeded"},
		{400, `{"__type":"com.amazonaws.ssm#InternalServerError"}`, false, "InternalServerError"},
		{500, `{"__type":"InternalServerError"}`, true, "InternalServerError"},
		{503, `<html>`, true, "503"},
		{429, ``, true, "429"},
		{400, `{"__type":"AccessDeniedException","message":"User: x is not authorized"}`, false, "not authorized"},
		{400, `{"__type":"ValidationException"}`, false, "ValidationException"},
		{200, `<html>`, true, "cannot be read"},
	} {
		s := systemsManager(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		_, err := s.GetParameter(t.Context(), name)
		if err == nil || passing(err) != c.passing || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%d %s: %v, passing %v", c.status, c.body, err, passing(err))
		}
	}
	silent := systemsManager(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	if err := silent.DeleteParameter(t.Context(), name); !passing(err) {
		t.Errorf("no answer: %v", err)
	}
	empty := systemsManager(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"Parameter":{}}`) }))
	if _, err := empty.GetParameter(t.Context(), name); !errors.Is(err, errMalformed) {
		t.Errorf("no value: %v", err)
	}
}

// Without an endpoint of its own, it is AWS's, in whatever part of the world.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"eu-west-1": "https://ssm.eu-west-1.amazonaws.com/", "cn-north-1": "https://ssm.cn-north-1.amazonaws.com.cn/", "us-gov-west-1": "https://ssm.us-gov-west-1.amazonaws.com/",
	} {
		s, err := NewSSM(SSMConfig{Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", "")})
		if err != nil || s.url != want {
			t.Errorf("%+v, %v; want %s", s, err, want)
		}
	}
	if _, err := NewSSM(SSMConfig{Region: "eu-west-1"}); err == nil {
		t.Error("without credentials")
	}
}
