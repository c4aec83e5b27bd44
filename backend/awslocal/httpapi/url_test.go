package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"culvert/backend/awslocal/runtime"
)

func newURL(t *testing.T, c URLConfig) *URL {
	t.Helper()
	c.AllowInvokeFunctionURL, c.AllowInvokeFunction = true, true
	u, err := NewURL(c)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// streamer answers with a head and a body, or an error.
type streamer struct {
	head runtime.Head
	body io.ReadCloser
	err  error
}

func (s streamer) InvokeStream(context.Context, []byte) (runtime.Head, io.ReadCloser, error) {
	return s.head, s.body, s.err
}

func head(status int) runtime.Head {
	return runtime.Head{Integration: true, StatusCode: status, Headers: map[string]string{"Content-Type": "text/event-stream"}, Cookies: []string{"a=1", "b=2"}}
}

func TestURLStreamsAsItGoes(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	addr := serve(t, newURL(t, URLConfig{Streamer: streamer{head: head(206), body: r}}).Server())
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 206 || resp.Header.Get("Content-Type") != "text/event-stream" || len(resp.Header["Set-Cookie"]) != 2 {
		t.Errorf("head %d %v", resp.StatusCode, resp.Header)
	}
	buf := make([]byte, 4)
	for _, part := range []string{"one\n", "two\n"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != part {
			t.Fatalf("got %q, %v before the next part was made", buf, err)
		}
	}
	w.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("end: %q, %v", rest, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestURLVisitorWhoLeaves(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	addr := serve(t, newURL(t, URLConfig{Streamer: streamer{head: head(200), body: r}}).Server())
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for { // the body is closed, so that the function writes to nobody
		if _, err := io.WriteString(w, "x"); err != nil {
			if !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			return
		}
	}
}

func TestURLThatBreaksOff(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	logged := make(chan Access, 1)
	u := newURL(t, URLConfig{Streamer: streamer{head: head(200), body: r}, Log: func(a Access) { logged <- a }})
	server := u.Server()
	addr := serve(t, server)
	go func() {
		io.WriteString(w, "begun")
		w.CloseWithError(&runtime.FunctionError{Payload: []byte(`{"errorMessage":"dried up"}`)})
	}()
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err == nil || string(got) != "begun" {
		t.Errorf("the visitor took %q for the whole answer: %v", got, err)
	}
	if a := <-logged; !strings.Contains(a.IntegrationError, "dried up") || a.ResponseLength != 5 {
		t.Errorf("logged %+v", a)
	}
}

func TestURLFailures(t *testing.T) {
	t.Parallel()
	tooLong := context.DeadlineExceeded
	for _, tt := range []struct {
		err    error
		status int
		body   string
	}{
		{runtime.ErrThrottled, 429, `{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`},
		{&runtime.FunctionError{}, 502, `{"Message":"Internal Server Error"}`},
		{runtime.ErrTooLarge, 413, `{"Message":"Request Entity Too Large"}`},
		{tooLong, 504, `{"Message":"Gateway Timeout"}`},
		{errors.New("broken"), 502, `{"Message":"Internal Server Error"}`},
	} {
		streamed := newURL(t, URLConfig{Streamer: streamer{err: tt.err}})
		whole := newURL(t, URLConfig{Function: &function{err: tt.err}})
		for _, u := range []*URL{streamed, whole} {
			if w := ask(u, "GET", "/", ""); w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("%v: %d %s", tt.err, w.Code, w.Body)
			}
		}
	}
	if w := ask(newURL(t, URLConfig{Streamer: streamer{}}), "POST", "/", strings.Repeat("x", runtime.MaxRequest+1)); w.Code != 413 {
		t.Errorf("over 6 MB: %d", w.Code)
	}
}

func TestURLNeedsBothPermissions(t *testing.T) {
	t.Parallel()
	for _, c := range []URLConfig{{}, {AllowInvokeFunction: true}, {AllowInvokeFunctionURL: true}} {
		f := answering(`{"statusCode":200}`)
		c.Function = f
		u, err := NewURL(c)
		if err != nil {
			t.Fatal(err)
		}
		if w := ask(u, "GET", "/", ""); w.Code != 403 || w.Body.String() != `{"Message":"Forbidden"}` || f.calls > 0 {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
	}
}

func TestURLAnswersWhole(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"statusCode":200,"body":"abc"}`:                                         "application/json",
		`{"statusCode":200,"body":"abc","headers":{"content-type":"text/plain"}}`: "text/plain",
		`"abc"`: "application/json",
	} {
		w := ask(newURL(t, URLConfig{Function: answering(payload)}), "GET", "/", "")
		if w.Code != 200 || w.Body.String() != "abc" || w.Header().Get("Content-Type") != want {
			t.Errorf("%s: %d %v %s", payload, w.Code, w.Header(), w.Body)
		}
	}
}

func TestURLWithoutAHead(t *testing.T) {
	t.Parallel()
	body := io.NopCloser(strings.NewReader(`{"statusCode":404}`))
	w := ask(newURL(t, URLConfig{Streamer: streamer{head: runtime.Head{ContentType: "application/json"}, body: body}}), "GET", "/", "")
	if w.Code != 200 || w.Body.String() != `{"statusCode":404}` || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestURLTimeout(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close()
	addr := serve(t, newURL(t, URLConfig{Streamer: streamer{head: head(200), body: r}, Timeout: 50 * time.Millisecond}).Server())
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the visitor took a cut answer for a whole one")
	}
}

func TestURLHeadKeepsALength(t *testing.T) {
	t.Parallel()
	for length, want := range map[string]string{"1234": "1234", "-1": "", "": ""} {
		h := head(200)
		h.Headers["Content-Length"] = length
		addr := serve(t, newURL(t, URLConfig{Streamer: streamer{head: h, body: io.NopCloser(strings.NewReader(""))}}).Server())
		resp, body := exchange(t, addr, "HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if got := resp.Header.Get("Content-Length"); got != want || resp.StatusCode != 200 || body != "" {
			t.Errorf("declared %q: %d, length %q, %q", length, resp.StatusCode, got, body)
		}
	}
}

// TestURLOverAFunction: the real head and body of a streamed answer, through a function
// that goes on when its visitor has gone.
func TestURLOverAFunction(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	reports := make(chan runtime.Report, 2)
	f, err := runtime.InProcess(runtime.Config{Name: "f", Timeout: time.Minute, Observe: func(r runtime.Report) { reports <- r }},
		func(context.Context, map[string]string) (runtime.Handler, error) {
			return func(context.Context, []byte) (io.Reader, error) {
				return &events.LambdaFunctionURLStreamingResponse{StatusCode: 203, Cookies: []string{"a=1"},
					Headers: map[string]string{"Content-Type": "text/event-stream", "Connection": "close"}, Body: parts(next)}, nil
			}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	addr := serve(t, newURL(t, URLConfig{Streamer: f}).Server())
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 203 || resp.Header.Get("Set-Cookie") != "a=1" {
		t.Errorf("head %d %v", resp.StatusCode, resp.Header)
	}
	next <- "one"
	buf := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "one" {
		t.Fatalf("got %q, %v", buf, err)
	}
	conn.Close()
	for range 100 {
		next <- "more"
	}
	close(next)
	if r := <-reports; r.Outcome != runtime.Succeeded || r.Out != 403 {
		t.Errorf("the invocation was reported as %+v", r)
	}
}

// parts is a body that comes as it is sent.
type parts chan string

func (p parts) Read(buf []byte) (int, error) {
	part, ok := <-p
	if !ok {
		return 0, io.EOF
	}
	return copy(buf, part), nil
}
