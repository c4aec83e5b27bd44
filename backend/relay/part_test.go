package relay

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// lateWriter is a visitor by HTTP/2 whose stream ends while its data is being sent: the
// server says so at once, and is done with the data only later.
type lateWriter struct {
	*httptest.ResponseRecorder
	at []byte
}

func (w *lateWriter) Write(p []byte) (int, error) {
	w.at = p
	return 0, errors.New("http2: stream closed")
}

// What other visitors get must not come to stand where a visitor who has left is still
// being written to.
func TestNoOtherAnswerInWhatIsStillBeingSent(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		st.WriteLast(bytes.Repeat([]byte(st.Request().Target[1:]), 20<<10))
	})
	left := &lateWriter{ResponseRecorder: httptest.NewRecorder()}
	visit := func(w http.ResponseWriter, target string) (cut bool) {
		defer func() { cut = recover() == http.ErrAbortHandler }()
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/"+a.TunnelID+target, nil)
		req.Host, req.RemoteAddr = r.addr, "127.0.0.1:1"
		req.ProtoMajor, req.ProtoMinor = 2, 0
		r.Handler().ServeHTTP(w, req)
		return false
	}
	if !visit(left, "/a") {
		t.Fatal("the visit of one who has left went on")
	}
	for range 20 {
		if w := httptest.NewRecorder(); visit(w, "/b") || w.Body.Len() != 20<<10 {
			t.Fatalf("%d bytes of the next answer", w.Body.Len())
		}
	}
	if n := bytes.Count(left.at, []byte("a")); n == 0 || n != len(left.at) {
		t.Errorf("%d of %d bytes are still those of the answer", n, len(left.at))
	}
}
