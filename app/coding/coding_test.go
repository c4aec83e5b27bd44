package coding

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

func encode(coding, text string) []byte {
	var out bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zlib":
		w = zlib.NewWriter(&out)
	case "flate":
		w, _ = flate.NewWriter(&out, 6)
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		w, _ = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	}
	io.WriteString(w, text)
	w.Close()
	return out.Bytes()
}

func coded(value ...string) http.Header { return http.Header{"Content-Encoding": value} }

func TestDecode(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("all the same words, ", 500)
	gzipped := encode("gzip", text)
	tests := []struct {
		name    string
		header  http.Header
		body    []byte
		limit   int
		want    string
		codings []string
		limited bool
		fails   bool
	}{
		{"none", nil, []byte(text), 10, text, nil, false, false},
		{"identity", coded("identity"), []byte(text), 10, text, nil, false, false},
		{"empty", coded("gzip"), nil, 10, "", nil, false, false},
		{"gzip", coded("gzip"), gzipped, 1 << 20, text, []string{"gzip"}, false, false},
		{"x-gzip", coded("X-GZIP"), gzipped, 1 << 20, text, []string{"gzip"}, false, false},
		{"deflate", coded("deflate"), encode("zlib", text), 1 << 20, text, []string{"deflate"}, false, false},
		{"deflate without its format", coded("deflate"), encode("flate", text), 1 << 20, text, []string{"deflate"}, false, false},
		{"br", coded("br"), encode("br", text), 1 << 20, text, []string{"br"}, false, false},
		{"zstd", coded("zstd"), encode("zstd", text), 1 << 20, text, []string{"zstd"}, false, false},
		{"two", coded("gzip, br"), encode("br", string(gzipped)), 1 << 20, text, []string{"gzip", "br"}, false, false},
		{"two fields", coded("gzip", "br"), encode("br", string(gzipped)), 1 << 20, text, []string{"gzip", "br"}, false, false},
		{"exactly the limit", coded("gzip"), gzipped, len(text), text, []string{"gzip"}, false, false},
		{"beyond the limit", coded("gzip"), gzipped, 100, text[:100], []string{"gzip"}, true, false},
		{"unknown", coded("rot13"), []byte("abc"), 10, "abc", nil, false, true},
		{"too many", coded("br, br, br, br"), []byte("abc"), 10, "abc", nil, false, true},
		{"not what it says", coded("gzip"), []byte("plain text"), 10, "plain text", nil, false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := Decode(t.Context(), test.header, test.body, test.limit)
			if string(got.Data) != test.want || got.Limited != test.limited || got.Err != nil != test.fails {
				t.Errorf("%.60q, limited: %v, %v", got.Data, got.Limited, got.Err)
			}
			if diff := cmp.Diff(test.codings, got.Codings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDecodeStart checks that of a body that was cut, what came is read.
func TestDecodeStart(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range 100_000 {
		fmt.Fprintf(&text, "%d ", random.IntN(1000))
	}
	for _, name := range []string{"gzip", "br", "zstd"} {
		body := encode(name, text.String())
		got := Decode(t.Context(), coded(name), body[:len(body)*2/3], 16<<20)
		if got.Err == nil || len(got.Codings) != 1 || !strings.HasPrefix(text.String(), string(got.Data)) || len(got.Data) < 100_000 {
			t.Errorf("%s: %d bytes, %v", name, len(got.Data), got.Err)
		}
	}
}

func TestDecodeCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := Decode(ctx, coded("gzip"), encode("gzip", "text"), 100); !errors.Is(got.Err, context.Canceled) {
		t.Errorf("%v", got.Err)
	}
}

func TestBomb(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gzip", "br", "zstd"} {
		body := encode(name, strings.Repeat("\x00", 3<<20))
		if got := Decode(t.Context(), coded(name), body, 1<<20); len(got.Data) != 1<<20 || !got.Limited {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got.Data), len(body), got.Err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"gzip", "br", "zstd"} {
		f.Add(name, encode(name, "some text"))
	}
	f.Add("deflate", encode("zlib", "some text"))
	f.Add("deflate, gzip", encode("gzip", string(encode("flate", "some text"))))
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		if got := Decode(t.Context(), coded(name), body, 1<<16); len(got.Codings) > 0 && len(got.Data) > 1<<16 {
			t.Errorf("%d bytes", len(got.Data))
		}
	})
}

func TestUnescape(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": "", "a": "a", "a+b%20c%2B": "a b c+", "100%": "100%", "%zz+": "%zz+"} {
		if got := Unescape(s); got != want {
			t.Errorf("%q became %q", s, got)
		}
	}
}
