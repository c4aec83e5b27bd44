package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"culvert/backend/awslocal/sqslocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// It says where it is, takes what curl sends, and ends when it is told to.
func TestServe(t *testing.T) {
	t.Parallel()
	sqslocal.Test(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	code := make(chan int, 1)
	var complaints bytes.Buffer
	go func() {
		code <- run(ctx, []string{"-port", "0"}, out, &complaints)
		out.Close()
	}()
	line := make([]byte, 200)
	n, err := in.Read(line)
	if err != nil {
		cancel()
		t.Fatalf("%v; exit code %d: %s", err, <-code, complaints.String())
	}
	_, base, found := strings.Cut(strings.TrimSpace(string(line[:n])), "ready at ")
	if !found {
		t.Errorf("it says %q", line[:n])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(to string, form url.Values) string {
		answer, err := client.PostForm(to, form)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%v: %d %s", form, answer.StatusCode, text)
		}
		return string(text)
	}
	queue := base + "/123456789012/mine"
	if got := post(base, url.Values{"Action": {"CreateQueue"}, "QueueName": {"mine"}}); !strings.Contains(got, queue) {
		t.Errorf("the queue is %s, want %s", got, queue)
	}
	post(queue, url.Values{"Action": {"SendMessage"}, "MessageBody": {`{"userId":"ann","data":"hello"}`}})
	if got := post(queue, url.Values{"Action": {"ReceiveMessage"}}); !strings.Contains(got, "hello") {
		t.Errorf("received %s", got)
	}
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d: %s", got, complaints.String())
	}
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-port", "x"}, {"-port", "70000"}, {"extra"}, {"-frobnicate"}} {
		if code := run(t.Context(), args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	sqslocal.Test(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var said bytes.Buffer
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	if code := run(t.Context(), []string{"-port", port}, io.Discard, &said); code != 1 || !strings.Contains(said.String(), port) {
		t.Errorf("a port that is taken: exit code %d, %s", code, said.String())
	}
}
