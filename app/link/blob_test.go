package link

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/backend/wire"
)

// bucket is an object store with presigned URLs, as S3 describes them.
type bucket struct {
	*httptest.Server
	fail int // status of every answer, if not 0

	mu      sync.Mutex
	objects map[string][]byte
	seen    []*http.Request
}

func newBucket(t *testing.T, start func(http.Handler) *httptest.Server) *bucket {
	b := &bucket{objects: map[string][]byte{}}
	b.Server = start(b)
	t.Cleanup(b.Close)
	return b
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, r)
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>secret</Message></Error>`, code)
	}
	switch {
	case b.fail > 0:
		refuse(b.fail, "SlowDown")
	case r.Method == http.MethodGet:
		body, ok := b.objects[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			refuse(404, "NoSuchKey")
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	case r.ContentLength < 0:
		refuse(411, "MissingContentLength")
	default:
		form, err := r.MultipartReader()
		if err != nil {
			refuse(400, "MalformedPOSTRequest")
			return
		}
		fields := map[string]string{}
		for {
			part, err := form.NextPart()
			if err != nil {
				refuse(400, "IncompleteBody")
				return
			}
			body, err := io.ReadAll(part)
			if err != nil {
				refuse(400, "IncompleteBody")
				return
			}
			if part.FormName() != "file" {
				fields[part.FormName()] = string(body)
				continue
			}
			if fields["policy"] != "p==" || fields["key"] == "" {
				refuse(403, "AccessDenied")
				return
			}
			b.objects[fields["key"]] = body
			w.WriteHeader(204)
			return
		}
	}
}

func (b *bucket) object(key string) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.objects[key]
}

func (b *bucket) upload(limit int64) map[string]any {
	return map[string]any{"url": b.URL + "/?signed", "fields": map[string]string{"key": "answer", "policy": "p=="}, "max_bytes": limit}
}

// blobGateway is a gateway on this machine with an object store beside it.
func blobGateway(t *testing.T, handler func(wire.Exchange)) (*gateway, *bucket, *Config) {
	g := newGateway(t, 1)
	g.url.Host = "localhost"
	g.caps = append(g.caps, "blob")
	cfg := g.config(&Config{Handler: handler})
	g.link(cfg)
	return g, newBucket(t, httptest.NewServer), cfg
}

func TestUploads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size    int
		length  int64 // as the head says
		limit   int64
		uploads bool
		want    string // of the error
	}{
		"small":                     {100 << 10, 100 << 10, 1 << 20, false, ""},
		"large":                     {100<<10 + 1, 100<<10 + 1, 1 << 20, true, ""},
		"of unknown length":         {300 << 10, -1, 1 << 20, true, ""},
		"at the limit":              {1 << 20, 1 << 20, 1 << 20, true, ""},
		"over the limit, in parts":  {1<<20 + 1, 1<<20 + 1, 1 << 20, false, ""},
		"over what messages carry":  {9 << 20, 9 << 20, 20 << 20, true, ""},
		"of unknown, large length":  {9 << 20, -1, 20 << 20, true, ""},
		"over every limit":          {9 << 20, 9 << 20, 8 << 20, false, "internal_error: the answer is too large: this backend carries heads up to 127 KB and whole bodies up to 8 MB, of binary data some 4.5 MB: use the URL that streams, https://stream.test/t1, or a relay"},
		"over every limit, unknown": {9 << 20, -1, 8 << 20, false, "internal_error: the answer is too large: this backend carries heads up to 127 KB and whole bodies up to 8 MB, of binary data some 4.5 MB: use the URL that streams, https://stream.test/t1, or a relay"},
		"cut short while uploading": {8 << 20, 9 << 20, 20 << 20, false, "internal_error: the local service cut its answer short"},
		"longer than it says":       {9<<20 + 1, 9 << 20, 20 << 20, true, "internal_error: the body is longer than its head says"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := noise(c.size)
			g, b, cfg := blobGateway(t, pouring(body, c.length, 1<<20))
			head, got, err := g.visit("GET", "/", nil, map[string]any{"upload": b.upload(c.limit)})
			if c.want != "" {
				if err == nil || err.Error() != c.want {
					t.Errorf("error %v, want %s", err, c.want)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if stored := b.object("answer"); (stored != nil) != c.uploads || c.uploads && c.want == "" && !bytes.Equal(stored, body) {
				t.Errorf("%d bytes are in the store", len(stored))
			}
			if c.want == "" && c.uploads && (head["uploaded"] != true || head["body_size"] != float64(c.size) || len(got) > 0) {
				t.Errorf("uploaded %v, size %v, body of %d", head["uploaded"], head["body_size"], len(got))
			}
			if c.want == "" && !c.uploads && !bytes.Equal(got, body) {
				t.Errorf("%d of %d bytes came in messages", len(got), len(body))
			}
			cfg.board.settle()
			if n := cfg.board.buffered.Load(); n != 0 {
				t.Errorf("%d bytes are still counted", n)
			}
		})
	}
}

func TestUploadsThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size int
		want string
	}{
		"fits messages": {1 << 20, ""},
		"does not fit":  {9 << 20, "internal_error: the answer could not be put into the backend's object store (the object store did not take it: the agent's log says why), and messages carry up to 6 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, length := range []int64{int64(c.size), -1} {
				body := noise(c.size)
				g, b, _ := blobGateway(t, pouring(body, length, 1<<20))
				b.fail = 503
				head, got, err := g.visit("GET", "/", nil, map[string]any{"upload": b.upload(20 << 20)})
				if c.want == "" && (err != nil || !bytes.Equal(got, body) || head["uploaded"] != nil) {
					t.Errorf("%d bytes came in messages: %v", len(got), err)
				}
				if c.want != "" && (err == nil || err.Error() != c.want) {
					t.Errorf("error %v, want %s", err, c.want)
				}
			}
		})
	}
}

// Nothing of an upload goes on when nobody waits for it.
func TestUploadIsCancelled(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	g, b, cfg := blobGateway(t, func(x wire.Exchange) {
		_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 50 << 20}, false)
		_, _ = x.Write(noise(1 << 20))
		close(begun)
		<-x.Context().Done()
		_, err := x.Write(noise(1 << 20))
		ended <- err
	})
	a := g.begin("GET", "/", nil, map[string]any{"upload": b.upload(60 << 20)})
	<-begun
	g.postNow(map[string]any{"type": "cancel", "request_id": a.id})
	if err := <-ended; err == nil {
		t.Error("writing goes on")
	}
	cfg.board.settle()
	if g.state(a).heads != 0 || b.object("answer") != nil {
		t.Error("something came of it")
	}
}

func TestRequestBodiesInTheStore(t *testing.T) {
	t.Parallel()
	g, b, cfg := blobGateway(t, echo)
	body := noise(3 << 20)
	b.objects["ask"] = body
	_, got, err := g.visit("POST", "/", nil, map[string]any{"body_url": b.URL + "/ask?X-Amz-Signature=s", "body_size": len(body)})
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes came back: %v", len(got), err)
	}
	for name, c := range map[string]struct {
		url  string
		size int
	}{ // the backend learns nothing about what it has named
		"another length": {b.URL + "/ask", 5},
		"not there":      {b.URL + "/nothing?X-Amz-Signature=secret", 5},
		"no store":       {"http://localhost:1/ask?X-Amz-Signature=secret", 5},
	} {
		_, _, err := g.visit("POST", "/", nil, map[string]any{"body_url": c.url, "body_size": c.size})
		if err == nil || err.Error() != "internal_error: the agent cannot get the request's body: "+errNoBlob.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg.board.settle()
	if n := cfg.board.buffered.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

func TestBlobURLsWithoutTheCapability(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.link(g.config(&Config{Handler: answering("image/png", noise(200<<10))}))
		_, _, err := g.visit("PUT", "/", nil, map[string]any{"body_url": "http://127.0.0.1:1/", "body_size": 5})
		if err == nil || !strings.HasPrefix(err.Error(), "invalid_request") {
			t.Errorf("body_url: %v", err)
		}
		head, _, err := g.visit("GET", "/", nil, map[string]any{"upload": map[string]any{"url": "http://127.0.0.1:1/", "fields": map[string]string{}, "max_bytes": 1 << 20}})
		if err != nil || head["uploaded"] != nil {
			t.Errorf("upload: %v", err)
		}
	})
}

// The body of a request may break off in the store: the local service must not take
// what there is for all of it.
func TestBodiesThatAreNotWhatWasAnnounced(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/short", "/ends", "/longer"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			reads := make(chan error, 1)
			g, _, _ := blobGateway(t, func(x wire.Exchange) {
				_, err := io.ReadAll(x)
				reads <- err
			})
			store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/short":
					w.Header().Set("Content-Length", "100")
				case "/longer":
					defer func() { _, _ = w.Write(make([]byte, 200)) }()
				}
				_, _ = w.Write([]byte("half"))
				w.(http.Flusher).Flush()
				if r.URL.Path == "/short" {
					panic(http.ErrAbortHandler)
				}
			}))
			t.Cleanup(store.Close)
			_, _, err := g.visit("POST", "/", nil, map[string]any{"body_url": store.URL + path, "body_size": 100})
			if err == nil || err.Error() != "internal_error: "+errBlobBroke.Error() {
				t.Errorf("error %v", err)
			}
			var reset *wire.ResetError
			if readErr := <-reads; !errors.As(readErr, &reset) {
				t.Errorf("reading ends with %v", readErr)
			}
		})
	}
}

func TestObjectStoreOverTLS(t *testing.T) {
	t.Parallel()
	b := newBucket(t, httptest.NewTLSServer)
	plain := newBucket(t, httptest.NewServer)
	roots := x509.NewCertPool()
	roots.AddCert(b.Certificate())
	cfg := &Config{Backend: mustURL(t, "wss://localhost/prod"), RootCAs: roots, Agent: "culvert/1"}
	store := cfg.blobs()
	t.Cleanup(store.close)
	to := &wire.Upload{URL: b.URL + "/", Fields: map[string]string{"key": "k", "policy": "p=="}, MaxBytes: 10}
	if err := store.put(t.Context(), to, strings.NewReader("hello"), 5); err != nil || string(b.object("k")) != "hello" {
		t.Errorf("put: %v", err)
	}
	if got := b.seen[0].UserAgent(); got != "culvert/1" {
		t.Errorf("user agent %q", got)
	}
	body, err := store.get(t.Context(), b.URL+"/k", 5)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || string(got) != "hello" {
		t.Errorf("got %q: %v", got, err)
	}
	if _, err := store.fetch(t.Context(), plain.URL+"/k", 5); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("without TLS: %v", err)
	}
	untrusting := (&Config{Backend: cfg.Backend}).blobs()
	if _, err := untrusting.get(t.Context(), b.URL+"/k?secret", 5); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an unknown authority: %v", err)
	}
}

// A backend on the internet must not reach into this machine through the agent.
func TestObjectStoreIsElsewhere(t *testing.T) {
	t.Parallel()
	b := newBucket(t, httptest.NewServer)
	b.objects["k"] = []byte("hello")
	store := (&Config{Backend: mustURL(t, "ws://api.example.com/prod")}).blobs()
	for _, to := range []string{b.URL, strings.Replace(b.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254", "http://[::1]:80", "http://[fe80::1]", "http://0.0.0.0:80"} {
		_, err := store.fetch(t.Context(), to+"/k", 5)
		if err == nil || !strings.Contains(err.Error(), "address of this machine") {
			t.Errorf("%s: %v", to, err)
		}
	}
	if len(b.seen) > 0 {
		t.Error("it was reached")
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := newBucket(t, httptest.NewServer)
	other.objects["k"] = []byte("hello")
	var hops int
	var mu sync.Mutex
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/k", http.StatusTemporaryRedirect)
		case "/loop":
			hops++
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		case "/near":
			http.Redirect(w, r, "/k", http.StatusTemporaryRedirect)
		case "/k":
			_, _ = io.WriteString(w, "hello")
		}
	}))
	t.Cleanup(first.Close)
	store := (&Config{Backend: mustURL(t, "ws://localhost/prod")}).blobs()
	t.Cleanup(store.close)
	for _, path := range []string{"/away", "/loop"} {
		if _, err := store.fetch(t.Context(), first.URL+path, 5); err == nil || !strings.Contains(err.Error(), "answered 307") {
			t.Errorf("%s: %v", path, err)
		}
		err := store.send(t.Context(), &wire.Upload{URL: first.URL + path, MaxBytes: 5}, strings.NewReader("hello"), 5)
		if err == nil || !strings.Contains(err.Error(), "answered 307") {
			t.Errorf("put to %s: %v", path, err)
		}
	}
	if hops > maxRedirects+2 {
		t.Errorf("%d hops", hops)
	}
	body, err := store.get(t.Context(), first.URL+"/near", 5)
	if err != nil {
		t.Errorf("to the same host: %v", err)
	} else {
		_ = body.Close()
	}
	if len(other.seen) > 0 {
		t.Error("the other host was visited")
	}
}

// Not parallel: it sets the environment.
func TestObjectStoreThroughAProxy(t *testing.T) {
	b := newBucket(t, httptest.NewServer)
	via := newBucket(t, httptest.NewServer) // takes absolute targets like any server
	t.Setenv("HTTP_PROXY", via.URL)
	t.Setenv("NO_PROXY", "")
	store := (&Config{Backend: mustURL(t, "ws://api.example.com/prod")}).blobs()
	t.Cleanup(store.close)
	err := store.put(t.Context(), &wire.Upload{URL: "http://s3.test/", Fields: map[string]string{"key": "k", "policy": "p=="}, MaxBytes: 9}, strings.NewReader("hello"), 5)
	if err != nil || string(via.object("k")) != "hello" || via.seen[0].Host != "s3.test" {
		t.Errorf("put: %v", err)
	}
	t.Setenv("NO_PROXY", "127.0.0.1")
	near := (&Config{Backend: mustURL(t, "ws://127.0.0.1/prod")}).blobs()
	t.Cleanup(near.close)
	if err := near.put(t.Context(), &wire.Upload{URL: b.URL, Fields: map[string]string{"key": "k", "policy": "p=="}, MaxBytes: 9}, strings.NewReader("hello"), 5); err != nil || len(b.seen) != 1 {
		t.Errorf("directly: %v", err)
	}
}

func TestObjectStoreThatHangs(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(reached)
		<-release
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) })
	store := (&Config{Backend: mustURL(t, "ws://localhost/prod")}).blobs()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	start := time.Now()
	if _, err := store.get(ctx, slow.URL, 5); !errors.Is(err, context.Canceled) || time.Since(start) > patience {
		t.Errorf("error %v", err)
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	want := map[string]bool{"localhost": true, "a.localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "example.com": false, "10.0.0.1": false, "localhost.example.com": false, "::ffff:127.0.0.1": true}
	for host := range maps.Keys(want) {
		u := &url.URL{Host: host}
		if strings.Contains(host, ":") {
			u.Host = "[" + host + "]"
		}
		if got := loopback(u.Hostname()); got != want[host] {
			t.Errorf("%s: %v", host, got)
		}
	}
}

// A store that hangs uses up the request's time, which is no fault of the agent's.
func TestBodyThatDoesNotComeInTime(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/silent", "/half"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			g, _, _ := blobGateway(t, func(x wire.Exchange) {
				_, err := io.ReadAll(x)
				var reset *wire.ResetError
				if !errors.As(err, &reset) {
					reset = &wire.ResetError{Code: wire.ResetInternal, Message: fmt.Sprint(err)}
				}
				x.Reset(reset.Code, reset.Message)
			})
			store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/half" {
					w.Header().Set("Content-Length", "100")
					_, _ = w.Write([]byte("half"))
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			}))
			t.Cleanup(store.Close)
			_, _, err := g.visit("POST", "/", nil, map[string]any{"body_url": store.URL + path, "body_size": 100, "timeout_ms": 300})
			if err == nil || err.Error() != "timeout: no whole answer within 300ms" {
				t.Errorf("error %v", err)
			}
		})
	}
}
