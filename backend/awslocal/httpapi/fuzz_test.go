package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzEvents: whatever a visitor sends becomes an event from which query and body can
// be had back, in both formats.
func FuzzEvents(f *testing.F) {
	f.Add("/a%2Fb", "x=1&x=%zz;&=", "text/plain", []byte("abc"), "a=1; b")
	f.Add("/%FF%00", "", "application/octet-stream", []byte{0xff}, ";")
	f.Fuzz(func(t *testing.T, path, query, kind string, body []byte, cookie string) {
		target := "/" + path + "?" + query
		if _, err := url.ParseRequestURI(target); err != nil || !utf8.ValidString(query) || strings.Contains(path, "?") {
			return // the server refuses it
		}
		fn := answering(`{"statusCode":200}`)
		for _, format := range []Format{V1, V2} {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			r.RequestURI = target
			r.Header = http.Header{"Content-Type": {kind}, "Cookie": {cookie}}
			w := httptest.NewRecorder()
			newAPI(t, Config{Function: fn, Format: format}).ServeHTTP(w, r)
			if w.Code == 431 {
				return
			}
			if w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			var e struct {
				RawQueryString  string
				Body            *string
				IsBase64Encoded bool
			}
			if err := json.Unmarshal(fn.payload, &e); err != nil {
				t.Fatal(err)
			}
			if format == V2 && e.RawQueryString != query {
				t.Errorf("query %q came as %q", query, e.RawQueryString)
			}
			var got []byte
			if e.Body != nil {
				got = []byte(*e.Body)
			}
			if e.IsBase64Encoded {
				var err error
				if got, err = base64.StdEncoding.DecodeString(*e.Body); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, body) {
				t.Errorf("body %q of %q came as %q", body, kind, got)
			}
		}
	})
}
