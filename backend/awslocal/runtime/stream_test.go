package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/runtime"
)

func TestStreamedAnswers(t *testing.T) {
	t.Parallel()
	f, l := start(t, runtime.Config{})
	step := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-step }))
	t.Cleanup(server.Close)
	head, body, err := f.InvokeStream(t.Context(), fmt.Appendf(nil, `{"action":"stream","text":"abc","size":3,"url":%q}`, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	want := runtime.Head{Integration: true, ContentType: "application/vnd.awslambda.http-integration-response", StatusCode: 201,
		Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"a=1"}}
	if diff := cmp.Diff(want, head); diff != "" {
		t.Error(diff)
	}
	buf := make([]byte, 3)
	for i := range 3 { // each before the function makes the next one
		if _, err := io.ReadFull(body, buf); err != nil || string(buf) != "abc" {
			t.Fatalf("part %d: %q, %v", i, buf, err)
		}
		if i < 2 {
			step <- struct{}{}
		}
	}
	if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
		t.Errorf("the end: %q, %v", rest, err)
	}
	if r := l.reports[0]; r.Outcome != runtime.Succeeded || !r.Streamed || r.Out != 9 {
		t.Errorf("reported %+v", r)
	}
}

func TestStreamWhoseReaderLeavesGoesOn(t *testing.T) {
	t.Parallel()
	f, l := start(t, runtime.Config{})
	steps := make(chan struct{}, 2)
	asked := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-steps
	}))
	t.Cleanup(server.Close)
	_, body, err := f.InvokeStream(t.Context(), fmt.Appendf(nil, `{"action":"stream","text":"abc","size":3,"url":%q}`, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	for range 2 {
		<-asked
		steps <- struct{}{}
	}
	for len(l.outcomes()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if r := l.reports[0]; r.Outcome != runtime.Succeeded || r.Out != 9 {
		t.Errorf("reported %+v", r)
	}
}

func TestStreamsThatFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, payload, begun, message string }{
		{"before the head", `{"action":"fail","text":"no luck"}`, "", "no luck"},
		{"crash", `{"action":"exit"}`, "", "exit status 7"},
		{"in the middle", `{"action":"break"}`, "begun", "dried up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, _ := start(t, runtime.Config{})
			_, body, err := f.InvokeStream(t.Context(), []byte(tt.payload))
			if tt.begun != "" {
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				got, err = io.ReadAll(body)
				if string(got) != tt.begun {
					t.Errorf("read %q", got)
				}
				body.Close()
			}
			var failed *runtime.FunctionError
			if !errors.As(err, &failed) || !strings.Contains(string(failed.Payload), tt.message) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStreamTimesOutWithASlowReader(t *testing.T) {
	t.Parallel()
	f, l := start(t, runtime.Config{Timeout: 2 * time.Second})
	_, body, err := f.InvokeStream(t.Context(), fmt.Appendf(nil, `{"action":"raw","text":%q}`, strings.Repeat("x", 4<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	for len(l.outcomes()) == 0 { // nobody reads: the function cannot go on
		time.Sleep(time.Millisecond)
	}
	if _, err := io.ReadAll(body); !errors.Is(err, runtime.ErrTimeout) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAHeadTheBodyIsAllThereIs(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{})
	head, body, err := f.InvokeStream(t.Context(), []byte(`{"action":"raw","text":"as it is"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if head.Integration || head.ContentType != "application/octet-stream" || string(got) != "as it is" || err != nil {
		t.Errorf("got %+v %q %v", head, got, err)
	}
}

func TestAStreamInvokedWholeKeepsItsHead(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{})
	got := invoke(t, f, `{"action":"stream","text":"abc","size":1}`)
	want := `{"statusCode":201,"headers":{"Content-Type":"text/plain"},"cookies":["a=1"]}` + strings.Repeat("\x00", 8) + "abc"
	if got != want {
		t.Errorf("got %q", got)
	}
}

// zeros is an endless body that counts nothing.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	z.left -= n
	return n, nil
}

func TestStreamsEndAt200MB(t *testing.T) {
	t.Parallel()
	for _, size := range []int{runtime.MaxStream, runtime.MaxStream + 1} {
		f, _ := inProcess(t, runtime.Config{}, func(context.Context, map[string]string) (runtime.Handler, error) {
			return func(context.Context, []byte) (io.Reader, error) { return &zeros{size}, nil }, nil
		})
		_, body, err := f.InvokeStream(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, body)
		if n != runtime.MaxStream || (err != nil) != (size > runtime.MaxStream) {
			t.Errorf("%d of %d bytes, %v", n, size, err)
		}
		body.Close()
	}
}
