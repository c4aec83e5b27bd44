package wire

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// example reads the bytes of an example in SPEC.md.
func example(t *testing.T, name string) []byte {
	t.Helper()
	spec, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(spec), "<!-- example: "+name+" -->\n```\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("SPEC.md has no example %q", name)
	}
	pairs := regexp.MustCompile(`^(?:[0-9a-f]{2}(?: |$))+`)
	var b []byte
	for line := range strings.Lines(text) {
		digits := strings.ReplaceAll(pairs.FindString(strings.TrimSpace(line)), " ", "")
		p, err := hex.DecodeString(digits)
		if err != nil || len(p) == 0 {
			t.Fatalf("line %q: %v", line, err)
		}
		b = append(b, p...)
	}
	return b
}

func TestExampleOfSpec(t *testing.T) {
	t.Parallel()
	head := &RequestHead{
		Method: "POST", Target: "/a?b=c", Host: "shop.example.com", RemoteAddr: "203.0.113.7",
		ContentLength: 2, Header: http.Header{"Accept": {"*/*", "text/html"}},
	}
	payload, err := AppendRequestHead(nil, head)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	b = AppendFrameHeader(b, FrameHeader{Stream: 1, Length: len(payload), Type: FrameRequest})
	b = append(b, payload...)
	b = AppendFrameHeader(b, FrameHeader{Stream: 1, Length: 2, Type: FrameData, End: true})
	b = append(b, "hi"...)
	if want := example(t, "request"); !bytes.Equal(b, want) {
		t.Errorf("we send\n%s\nSPEC.md has\n%s", hex.Dump(b), hex.Dump(want))
	}
	_, p, rest, err := NextFrame(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRequestHead(p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(head, got); diff != "" {
		t.Error(diff)
	}
	if h, p, rest, err := NextFrame(rest); err != nil || !h.End || string(p) != "hi" || len(rest) != 0 {
		t.Errorf("second frame %+v %q, %d more bytes, %v", h, p, len(rest), err)
	}

	payload, err = AppendResponseHead(nil, &ResponseHead{Status: 200})
	if err != nil {
		t.Fatal(err)
	}
	b = AppendFrameHeader(nil, FrameHeader{Stream: 1, Length: len(payload), Type: FrameResponse, End: true})
	b = append(b, payload...)
	b = AppendWindow(b, 1, 32768)
	if want := example(t, "response"); !bytes.Equal(b, want) {
		t.Errorf("we send\n%s\nSPEC.md has\n%s", hex.Dump(b), hex.Dump(want))
	}
}

// TestMessagesOfSpec reads every JSON example of SPEC.md, and writes it as it stands.
func TestMessagesOfSpec(t *testing.T) {
	t.Parallel()
	spec, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)<!-- messages: ([a-z ]+) -->\n```json\n(.*?)```").FindAllStringSubmatch(string(spec), -1)
	if len(blocks) != strings.Count(string(spec), "```json") || len(blocks) == 0 {
		t.Errorf("%d examples have a name", len(blocks))
	}
	for _, block := range blocks {
		for line := range strings.Lines(block[2]) {
			text := strings.TrimSpace(line)
			m, err := Decode([]byte(text), MaxAction)
			if answer, ok := m.(*ActionAnswer); ok && answer.Action == "" || err != nil && strings.HasPrefix(text, `{"action":"",`) {
				continue // names nothing that could be answered to
			}
			if _, unknown := m.(*Unknown); err != nil || unknown {
				t.Errorf("%s: %s: %T, %v", block[1], text, m, err)
				continue
			}
			if got, err := Encode(m); err != nil || string(got) != text {
				t.Errorf("%s: SPEC.md has\n%s\nwe send\n%s %v", block[1], text, got, err)
			}
		}
	}
	bad := (&BadAction{Err: protocolError("message is not a JSON object")}).Answer()
	if got, err := Encode(bad); err != nil || !strings.Contains(string(spec), string(got)) {
		t.Errorf("SPEC.md does not have %s (%v)", got, err)
	}
}
