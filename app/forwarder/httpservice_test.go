package forwarder

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// httpService is a well-behaved local service; it gives its URL.
func httpService(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}
