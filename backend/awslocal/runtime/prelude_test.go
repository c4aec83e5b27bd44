package runtime

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestPreludesAreBounded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no end":      strings.Repeat(" ", 2*maxPrelude),
		"broken off":  `{"statusCode":200}` + strings.Repeat("\x00", 7),
		"no JSON":     "{" + strings.Repeat("\x00", 8),
		"wrong types": `{"statusCode":"200"}` + strings.Repeat("\x00", 8),
		"nothing":     "",
	} {
		if head, err := readPrelude(bufio.NewReader(strings.NewReader(text))); err == nil {
			t.Errorf("%s: %+v", name, head)
		}
	}
}

// FuzzPrelude: what is no head is refused, and of what is one nothing is lost.
func FuzzPrelude(f *testing.F) {
	end := strings.Repeat("\x00", 8)
	f.Add([]byte(`{"statusCode":200,"headers":{"a":"b"},"cookies":["c=d"]}` + end + "body"))
	f.Add([]byte(`{}` + end + end))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(text), 16)
		head, err := readPrelude(r)
		if err != nil {
			return
		}
		if head.StatusCode == 0 || !head.Integration {
			t.Errorf("head %+v", head)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		i := bytes.Index(text, []byte(end))
		if want := text[i+8:]; !bytes.Equal(want, body) {
			t.Errorf("body %q of %q", body, text)
		}
	})
}
