package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func TestCutAndAssemble(t *testing.T) {
	t.Parallel()
	id, session := strings.Repeat("i", maxRequestID), strings.Repeat("s", MaxSession)
	header := http.Header{"X": {strings.Repeat("x", 40<<10)}}
	for _, size := range []int{0, 1, 1000, MaxPart - 40<<10, MaxPart, 2 * MaxPart, MaxPartMessage, 1 << 20, MaxParts} {
		body := randomBytes(size)
		m := &HTTPResponse{RequestID: id, StatusCode: 200, Header: header, Body: body, Session: session}
		chunks, err := m.Cut(int64(size))
		if err != nil {
			t.Fatal(err)
		}
		messages := []any{m}
		for _, c := range chunks {
			messages = append(messages, c)
		}
		if m.More != (len(chunks) > 0) || (m.BodySize > 0) != m.More {
			t.Errorf("%d bytes in %d chunks: more %v, size %d", size, len(chunks), m.More, m.BodySize)
		}
		rng := rand.New(rand.NewPCG(1, uint64(size)))
		messages = append(messages, messages[rng.IntN(len(messages))]) // one comes twice
		rng.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		var a Assembly
		for _, message := range messages {
			text, err := Encode(message)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > MaxPartMessage {
				t.Errorf("a message of %d bytes", len(text))
			}
			message, err := DecodeDeclared(text, MaxGatewayMessage)
			if err != nil {
				t.Fatal(err)
			}
			switch m := message.(type) {
			case *HTTPResponse:
				err = a.Add(0, m.Body, !m.More)
			case *Chunk:
				err = a.Add(m.Seq, m.Body, m.Last)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		whole, ok := a.Whole()
		if !ok || !bytes.Equal(whole, body) || a.Missing("r") != nil {
			t.Errorf("%d bytes: %d came back (%v)", size, len(whole), ok)
		}
	}
}

func TestCutRequest(t *testing.T) {
	t.Parallel()
	body := randomBytes(2*MaxPart + 2000)
	m := &HTTPRequest{RequestID: "r", Method: "PUT", URI: "/", Body: body, Encoding: EncodingGzip}
	chunks, err := m.Cut(5 << 20)
	if err != nil || !m.More || m.BodySize != 5<<20 || len(chunks) != 2 || !chunks[1].Last || chunks[0].Last || chunks[0].Session != "" {
		t.Fatalf("%d chunks, more %v, size %d: %v", len(chunks), m.More, m.BodySize, err)
	}
	small := &HTTPRequest{RequestID: "r", Method: "PUT", URI: "/", Body: body[:2000], Encoding: EncodingGzip}
	if chunks, err := small.Cut(5000); err != nil || chunks != nil || small.More || small.BodySize != 5000 || len(small.Body) != 2000 {
		t.Errorf("a body that fits: %d chunks, %+v: %v", len(chunks), small, err)
	}
	for name, m := range map[string]*HTTPRequest{
		"body": {Body: make([]byte, MaxParts+1)},
		"head": {Header: http.Header{"X": {strings.Repeat("x", MaxPartMessage)}}},
	} {
		if _, err := m.Cut(int64(len(m.Body))); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s over its bound: %v", name, err)
		}
	}
	if _, err := (&HTTPRequest{}).Cut(MaxParts + 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decoded body over its bound: %v", err)
	}
}

func TestMissingParts(t *testing.T) {
	t.Parallel()
	from := func(n int) *int { return &n }
	type part struct {
		seq  int
		last bool
	}
	for name, c := range map[string]struct {
		parts []part
		want  *Resend
	}{
		"nothing came":       {nil, &Resend{From: from(0)}},
		"the head alone":     {[]part{{0, false}}, &Resend{From: from(1)}},
		"without the head":   {[]part{{2, false}}, &Resend{Seqs: []int{0, 1}, From: from(3)}},
		"a gap before last":  {[]part{{0, false}, {3, true}}, &Resend{Seqs: []int{1, 2}}},
		"last twice, a gap":  {[]part{{2, true}, {2, true}, {0, false}}, &Resend{Seqs: []int{1}}},
		"whole":              {[]part{{1, true}, {0, false}}, nil},
		"last known by then": {[]part{{0, false}, {1, false}, {1, true}}, nil},
	} {
		var a Assembly
		for _, p := range c.parts {
			if err := a.Add(p.seq, []byte("x"), p.last); err != nil {
				t.Fatal(err)
			}
		}
		if c.want != nil {
			c.want.RequestID = "r"
		}
		if diff := cmp.Diff(c.want, a.Missing("r")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if _, whole := a.Whole(); whole != (c.want == nil) {
			t.Errorf("%s: whole = %v", name, whole)
		}
	}
	var a Assembly
	_ = a.Add(maxPartCount-1, nil, true)
	if m := a.Missing("r"); len(m.Seqs) != MaxWanted {
		t.Errorf("%d parts asked for at once", len(m.Seqs))
	}
}

func TestAssemblyRefuses(t *testing.T) {
	t.Parallel()
	var a Assembly
	for _, seq := range []int{-1, maxPartCount, MaxSeq} {
		if err := a.Add(seq, nil, false); !errors.Is(err, ErrProtocol) {
			t.Errorf("part %d: %v", seq, err)
		}
	}
	_ = a.Add(4, []byte("x"), false)
	if err := a.Add(3, nil, true); !errors.Is(err, ErrProtocol) {
		t.Errorf("the last part is not the last: %v", err)
	}
	_ = a.Add(5, []byte("x"), true)
	if err := a.Add(6, nil, false); !errors.Is(err, ErrProtocol) {
		t.Errorf("a part after the last: %v", err)
	}
	if err := a.Add(6, nil, true); !errors.Is(err, ErrProtocol) {
		t.Errorf("another last part: %v", err)
	}
	if err := a.Add(1, make([]byte, MaxParts-1), false); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too much: %v", err)
	}
	if err := a.Add(1, make([]byte, MaxParts-2), false); err != nil || a.Size() != MaxParts {
		t.Errorf("at the limit: %d bytes, %v", a.Size(), err)
	}
	if err := a.Add(1, make([]byte, MaxParts), false); err != nil || a.Size() != MaxParts {
		t.Errorf("twice: %d bytes, %v", a.Size(), err)
	}
}

func TestPack(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("all work and no play "), 1000)
	plain := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	var p Packer
	for name, c := range map[string]struct {
		header http.Header
		body   []byte
		packed bool
	}{
		"text":               {plain("Content-Type", "text/html; charset=utf-8"), text, true},
		"JSON":               {plain("Content-Type", "application/json"), text, true},
		"some JSON":          {plain("Content-Type", "application/problem+json"), text, true},
		"SVG":                {plain("Content-Type", "image/svg+xml"), text, true},
		"identity":           {plain("Content-Type", "text/css", "Content-Encoding", "identity"), text, true},
		"already compressed": {plain("Content-Type", "text/css", "Content-Encoding", "br"), text, false},
		"picture":            {plain("Content-Type", "image/png"), text, false},
		"no type":            {plain(), text, false},
		"short":              {plain("Content-Type", "text/plain"), text[:minGzip-1], false},
		"just long enough":   {plain("Content-Type", "text/plain"), text[:minGzip], true},
		"not shorter":        {plain("Content-Type", "text/plain"), randomBytes(5000), false},
	} {
		got, encoding := p.Pack(c.header, c.body)
		if packed := encoding == EncodingGzip; packed != c.packed || packed && len(got) > len(c.body)*9/10 {
			t.Errorf("%s: %d bytes became %d %s", name, len(c.body), len(got), encoding)
		}
		back, err := Unpack(encoding, got, int64(len(c.body)))
		if err != nil || !bytes.Equal(back, c.body) {
			t.Errorf("%s: %d of %d bytes came back: %v", name, len(back), len(c.body), err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	var p Packer
	bomb, _ := p.Pack(http.Header{"Content-Type": {"text/plain"}}, make([]byte, 4<<20))
	for name, c := range map[string]struct {
		encoding Encoding
		body     []byte
		size     int64
	}{
		"longer than said":    {EncodingGzip, bomb, 4<<20 - 1},
		"shorter than said":   {EncodingGzip, bomb, 4<<20 + 1},
		"more than allowed":   {EncodingGzip, bomb, MaxParts + 1},
		"no gzip":             {EncodingGzip, []byte("hello"), 5},
		"cut off":             {EncodingGzip, bomb[:len(bomb)-9], 4 << 20},
		"rubbish after it":    {EncodingGzip, append(slices.Clone(bomb), "rubbish"...), 4 << 20},
		"plain, longer":       {EncodingNone, []byte("hello"), 4},
		"plain, shorter":      {EncodingNone, []byte("hello"), 6},
		"several of them":     {EncodingGzip, append(slices.Clone(bomb), bomb...), 4 << 20},
		"negative size":       {EncodingNone, nil, -1},
		"empty, said to be 1": {EncodingGzip, nil, 1},
	} {
		if got, err := Unpack(c.encoding, c.body, c.size); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %d bytes, error %v", name, len(got), err)
		}
	}
}

// A bomb costs no more memory than its announced size, whatever is in it. Not
// parallel: it watches what is allocated.
func TestBombIsBounded(t *testing.T) {
	var p Packer
	bomb, _ := p.Pack(http.Header{"Content-Type": {"text/plain"}}, make([]byte, MaxParts))
	for range 6 { // every member decodes to 6 MB
		bomb = append(bomb, bomb...)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Unpack(EncodingGzip, bomb, 64<<10)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 || !errors.Is(err, ErrProtocol) {
		t.Errorf("a bomb of %d bytes took %d bytes: %v", len(bomb), n, err)
	}
}

func FuzzAssembly(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, []byte("abcdef"))
	f.Add([]byte{3, 0x80 | 4, 0, 0, 1}, []byte("xyz"))
	f.Fuzz(func(t *testing.T, order, body []byte) {
		// Every byte is a part: its number, and in the highest bit whether it is the last.
		var a Assembly
		parts := map[int][]byte{}
		for i, o := range order {
			seq, last := int(o&0x7f), o&0x80 != 0
			part := body[min(seq, len(body)):min(seq+1+i%2, len(body))]
			if a.Add(seq, part, last) != nil {
				continue
			}
			if _, twice := parts[seq]; !twice {
				parts[seq] = part
			}
		}
		whole, ok := a.Whole()
		if ok != (a.Missing("r") == nil) {
			t.Fatalf("whole is %v, and %v is missing", ok, a.Missing("r"))
		}
		if !ok {
			return
		}
		var want []byte
		for seq := range len(parts) {
			want = append(want, parts[seq]...)
		}
		if !bytes.Equal(whole, want) {
			t.Fatalf("got %q, want %q", whole, want)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	var p Packer
	packed, _ := p.Pack(http.Header{"Content-Type": {"text/plain"}}, make([]byte, 2000))
	f.Add(packed, int64(2000))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, body []byte, size int64) {
		got, err := Unpack(EncodingGzip, body, size)
		if err != nil && !errors.Is(err, ErrProtocol) {
			t.Fatalf("error %v is no protocol error", err)
		}
		if err == nil && int64(len(got)) != size {
			t.Fatalf("%d bytes, announced %d", len(got), size)
		}
	})
}
