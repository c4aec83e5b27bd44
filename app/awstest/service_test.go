package awstest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// service is an agent's local service. All of its answer follows from the request, so
// that a visitor knows the answer to his own request from every other.
type service struct {
	name string
	url  string

	mu     sync.Mutex
	served map[string]int // by nonce
	gate   chan struct{}  // what asks for it is answered once this is closed
}

func newService(t *testing.T, name string) *service {
	t.Helper()
	s := &service{name: name, served: map[string]int{}, gate: make(chan struct{})}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// Fields of requests and answers.
const (
	fieldNonce   = "X-Nonce"   // both ways
	fieldAnswer  = "X-Answer"  // how long the answer is to be
	fieldPlain   = "X-Plain"   // it is to be text, which can be compressed
	fieldWait    = "X-Wait"    // it is to wait for so many milliseconds, or for the gate
	fieldSum     = "X-Sum"     // of the body that has arrived
	fieldService = "X-Service" // whose answer it is
	fieldTarget  = "X-Target"  // method, path and query as they have arrived
)

// ServeHTTP answers, and notes that it has.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	nonce := r.Header.Get(fieldNonce)
	s.mu.Lock()
	s.served[nonce]++
	gate := s.gate
	s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch wait := r.Header.Get(fieldWait); wait {
	case "":
	case "gate":
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	default:
		ms, _ := strconv.Atoi(wait)
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	h := w.Header()
	h.Set(fieldNonce, nonce)
	h.Set(fieldSum, sumOf(body))
	h.Set(fieldService, s.name)
	h.Set(fieldTarget, r.Method+" "+r.URL.RequestURI())
	h.Set("Content-Type", "application/octet-stream")
	plain := r.Header.Get(fieldPlain) != ""
	if plain {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	size, _ := strconv.Atoi(r.Header.Get(fieldAnswer))
	w.Write(answerTo(nonce, size, plain))
}

// times is how often a request was served.
func (s *service) times(nonce string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[nonce]
}

// twice lists what was served more than once.
func (s *service) twice() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for nonce, n := range s.served {
		if n > 1 {
			all = append(all, nonce)
		}
	}
	return all
}

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// answerTo is the body of the answer to the request with the nonce.
func answerTo(nonce string, size int, plain bool) []byte {
	if plain {
		line := []byte(nonce + " is answered by a line that comes again and again\n")
		return bytes.Repeat(line, size/len(line)+1)[:size]
	}
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(nonce))).Read(b) // never fails
	return b
}
