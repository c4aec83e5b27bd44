package awstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// longest is when API Gateway has given up, whatever the backend does.
const longest = 29 * time.Second

// streamPatience is how long a visitor waits for all of a stream; its head has to come
// as soon as any answer.
const streamPatience = 35 * time.Second

// request is what a visitor wants.
type request struct {
	nonce    string
	method   string
	body     int  // bytes of the request's body
	answer   int  // bytes of the answer's
	plain    bool // both can be compressed
	wait     string
	streamed bool // through the Function URL
}

func (r request) String() string {
	text := fmt.Sprintf("%s %s of %d bytes for %d", r.nonce, r.method, r.body, r.answer)
	if r.plain {
		text += ", plain"
	}
	if r.streamed {
		text += ", streamed"
	}
	return text
}

// newNonce draws a nonce, which nobody uses twice.
func newNonce(draw *rand.Rand) string {
	return fmt.Sprintf("%016x%016x", draw.Uint64(), draw.Uint64())
}

// result is what became of a request.
type result struct {
	request
	to       string // name of the agent
	status   int
	took     time.Duration
	ended    time.Time
	text     string         // of an error
	struck   map[string]int // what struck since the tunnel was last seen to be well
	mayMiss  bool           // 413 and the like are as they should be
	declared bool
}

// lost reports whether the visitor got another answer than the service's own.
func (r result) lost() bool { return r.status != http.StatusOK }

func (r result) String() string {
	return fmt.Sprintf("%s at %s: %d after %v at %s (%.120s), struck: %v",
		r.request, r.to, r.status, r.took.Round(time.Millisecond), r.ended.Format(clockFormat), r.text, r.struck)
}

// visitor makes requests.
type visitor struct{ client *http.Client }

func newVisitor(t *testing.T) *visitor {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{client: &http.Client{Transport: transport, Timeout: longest + 10*time.Second}}
}

// errNotMine is an answer that belongs to somebody else, or to nobody.
type errNotMine struct{ what string }

func (e *errNotMine) Error() string { return "a wrong answer has reached a visitor: " + e.what }

// visit makes one request of the tunnel at base, and holds the answer against it.
// An error is what must never be.
func (v *visitor) visit(ctx context.Context, base, service string, want request) (status int, took time.Duration, text string, err error) {
	body := answerTo("body of "+want.nonce, want.body, want.plain)
	target := "/" + want.nonce + "?a=" + want.nonce + "&a=2"
	r, err := http.NewRequestWithContext(ctx, want.method, base+target, bytes.NewReader(body))
	if err != nil {
		return 0, 0, "", err
	}
	r.Header.Set(fieldNonce, want.nonce)
	r.Header.Set(fieldAnswer, strconv.Itoa(want.answer))
	if want.plain {
		r.Header.Set(fieldPlain, "yes")
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if want.wait != "" {
		r.Header.Set(fieldWait, want.wait)
	}
	if want.streamed {
		// A stream may take minutes once it has begun.
		ctx, cancel := context.WithTimeout(ctx, streamPatience)
		defer cancel()
		r = r.WithContext(ctx)
	}
	start := time.Now()
	answer, err := v.client.Do(r)
	if err != nil {
		return 0, time.Since(start), "", fmt.Errorf("no answer after %v: %w", time.Since(start), err)
	}
	defer answer.Body.Close()
	took = time.Since(start)
	got, err := io.ReadAll(answer.Body)
	if !want.streamed {
		took = time.Since(start)
	}
	if answer.StatusCode != http.StatusOK {
		if from := answer.Header.Get(fieldService); from != "" {
			return 0, took, "", &errNotMine{fmt.Sprintf("status %d with fields of %s", answer.StatusCode, from)}
		}
		return answer.StatusCode, took, oneLine(got), nil
	}
	h := answer.Header
	switch sum := sha256.Sum256(body); {
	case h.Get(fieldNonce) != want.nonce:
		return 0, took, "", &errNotMine{fmt.Sprintf("nonce %q", h.Get(fieldNonce))}
	case h.Get(fieldSum) != hex.EncodeToString(sum[:]):
		return 0, took, "", &errNotMine{"the service has seen another body"}
	case h.Get(fieldService) != service:
		return 0, took, "", &errNotMine{"it is from " + h.Get(fieldService)}
	case h.Get(fieldTarget) != want.method+" "+target:
		return 0, took, "", &errNotMine{"the service has seen " + h.Get(fieldTarget)}
	case err != nil && want.streamed:
		// Said honestly: the visitor sees that the body is not whole.
		return http.StatusGatewayTimeout, took, "stream broken off: " + err.Error(), nil
	case err != nil:
		return 0, took, "", fmt.Errorf("a body that is not whole: %w", err)
	case !bytes.Equal(got, answerTo(want.nonce, want.answer, want.plain)):
		return 0, took, "", &errNotMine{fmt.Sprintf("%d bytes of body, want %d, or others", len(got), want.answer)}
	}
	return answer.StatusCode, took, "", nil
}

// oneLine is an error page or message for a log.
func oneLine(text []byte) string {
	return strings.Join(strings.Fields(string(text[:min(len(text), 400)])), " ")
}
