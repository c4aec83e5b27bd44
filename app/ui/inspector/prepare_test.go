package inspector

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"testing"

	"culvert/app/exchange"
	"culvert/app/inspect"
)

// What looks like a secret in the middle of random bytes is none.
func TestBinaryBodiesAreShownAsTheyAre(t *testing.T) {
	secret := "&password=hunter2hunter2&x=\n"
	binary := "\x00\x01\xff\xfe" + secret + "\x00\xc3"
	packed := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.String()
	}
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		masked bool
	}{
		"binary, no type":  {http.Header{}, binary, false},
		"binary of a type": {http.Header{"Content-Type": {"application/octet-stream"}}, binary, false},
		"packed binary":    {http.Header{"Content-Encoding": {"gzip"}}, packed(binary), false},
		"text":             {http.Header{}, "a=b" + secret, true},
		"packed text":      {http.Header{"Content-Encoding": {"gzip"}}, packed("a=b" + secret), true},
		"cut text":         {http.Header{}, "a=b" + secret + "\xc3", true},
		"old charset":      {http.Header{}, "na\xefve=b" + secret, true},
		"text with a NUL":  {http.Header{"Content-Type": {"text/plain"}}, "\x00\xff" + secret + "password=hunter2hunter2\n", true},
	} {
		m := exchange.Message{Header: tt.header, Body: []byte(tt.body), Size: int64(len(tt.body))}
		view, masked := layOut(context.Background(), m, inspect.Raw, true)
		if masked != tt.masked || !masked && bytes.Contains(view.Body(), []byte("REDACTED")) {
			t.Errorf("%s: masked %v, want %v", name, masked, tt.masked)
		}
	}
}
