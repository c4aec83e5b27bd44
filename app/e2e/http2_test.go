package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestHTTP2 has visitors who speak HTTP/2, as browsers do with every relay that
// has a certificate.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	const large = 8 << 20
	begun, left := make(chan struct{}, 1), make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(w http.ResponseWriter, r *http.Request) {
		err := sameBytes(r.Body, large)
		fmt.Fprint(w, err, " ", r.Header.Get("X-Forwarded-Proto"), " ", r.Trailer.Get("X-Sum"))
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, io.LimitReader(endless(), large))
		w.Header().Set("X-Sum", "43")
	})
	mux.HandleFunc("/duplex", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(bytes.ToUpper(buf[:n]))
			if err != nil {
				return
			}
			_ = rc.Flush()
		}
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		// Without this Go's server reads on before it answers.
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Length", "7")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "not you")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	cut := map[string]chan struct{}{"/cut/length": make(chan struct{}), "/cut/chunks": make(chan struct{})}
	mux.HandleFunc("/cut/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut/length" {
			w.Header().Set("Content-Length", "1000")
		}
		io.WriteString(w, "beginning")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-cut[r.URL.Path]:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/reads", func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("a body cut short by the visitor reached the service as a whole one")
		}
		left <- struct{}{}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		left <- struct{}{}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })

	service := serve(t, mux)
	cert, key := certificate(t, "localhost")
	r := startRelay(t, "--tls-cert", cert, "--tls-key", key)
	a := startAgent(t, agentSpec{target: service.URL, backend: fmt.Sprintf("https://localhost:%d", r.port), args: []string{"--ca-file", cert}})
	base := "https://" + r.addr() + "/" + a.id()

	// All share one connection, as a browser's requests do: what happens to one
	// stream must not happen to the others.
	client := newClient(t)
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	ask := func(t *testing.T, method, path string, body io.Reader, change ...func(*http.Request)) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range change {
			f(req)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if resp.ProtoMajor != 2 {
			t.Fatalf("the visitor speaks %s", resp.Proto)
		}
		return resp
	}
	ask(t, http.MethodGet, "/warm", nil)

	t.Run("streams", func(t *testing.T) {
		t.Run("upload", func(t *testing.T) {
			t.Parallel()
			resp := ask(t, http.MethodPost, "/up", io.NopCloser(io.LimitReader(endless(), large)),
				func(req *http.Request) { req.Trailer = http.Header{"X-Sum": {"42"}} })
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "<nil> https 42" {
				t.Errorf("%q, %v", got, err)
			}
		})
		t.Run("download", func(t *testing.T) {
			t.Parallel()
			resp := ask(t, http.MethodGet, "/down", nil)
			if err := sameBytes(resp.Body, large); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(http.Header{"X-Sum": {"43"}}, resp.Trailer); diff != "" {
				t.Errorf("trailer: want - got +\n%s", diff)
			}
		})
		t.Run("both ways at once", func(t *testing.T) {
			t.Parallel()
			body, words := io.Pipe()
			defer words.Close()
			// The answer begins with the first word's echo.
			go io.WriteString(words, "one ")
			resp := ask(t, http.MethodPost, "/duplex", body)
			buf := make([]byte, 4)
			for _, next := range []string{"two ", "end."} {
				if _, err := io.ReadFull(resp.Body, buf); err != nil {
					t.Fatal(err)
				}
				io.WriteString(words, next)
			}
			words.Close()
			if rest, err := io.ReadAll(resp.Body); err != nil || string(buf)+string(rest) != "TWO END." {
				t.Errorf("%q, %v", string(buf)+string(rest), err)
			}
		})
		t.Run("early answer", func(t *testing.T) {
			t.Parallel()
			body, end := io.Pipe()
			defer end.Close()
			resp := ask(t, http.MethodPost, "/early", body)
			buf := make([]byte, len("not you"))
			if _, err := io.ReadFull(resp.Body, buf); err != nil || resp.StatusCode != http.StatusForbidden || string(buf) != "not you" {
				t.Errorf("status %d, %q, %v", resp.StatusCode, buf, err)
			}
		})
		for path, now := range cut {
			t.Run(path[1:], func(t *testing.T) {
				t.Parallel()
				resp := ask(t, http.MethodGet, path, nil)
				buf := make([]byte, len("beginning"))
				if _, err := io.ReadFull(resp.Body, buf); err != nil {
					t.Fatal(err)
				}
				close(now)
				if rest, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("the visitor took %q for whole", string(buf)+string(rest))
				}
			})
		}
		t.Run("many", func(t *testing.T) {
			t.Parallel()
			for i := range 50 {
				path := fmt.Sprint("/many/", i)
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					if got, err := io.ReadAll(ask(t, http.MethodGet, path, nil).Body); err != nil || string(got) != path {
						t.Errorf("%q, %v", got, err)
					}
				})
			}
		})
	})
	t.Run("a visitor leaves an answer", func(t *testing.T) {
		resp := ask(t, http.MethodGet, "/events", nil)
		buf := make([]byte, len("data: first\n\n"))
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		awaitTold(t, left)
	})
	t.Run("a visitor leaves an upload", func(t *testing.T) {
		body, half := io.Pipe()
		defer half.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/reads", body)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			io.WriteString(half, "half")
			<-begun
			half.CloseWithError(errors.New("the sender gives up"))
		}()
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s for half an upload", resp.Status)
		}
		awaitTold(t, left)
	})
	if got, err := io.ReadAll(ask(t, http.MethodGet, "/end", nil).Body); err != nil || string(got) != "/end" {
		t.Errorf("after all that: %q, %v", got, err)
	}
}

func awaitTold(t *testing.T, left <-chan struct{}) {
	t.Helper()
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the local service was not told")
	}
}
