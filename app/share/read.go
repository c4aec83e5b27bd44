package share

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"culvert/app/exchange"
)

const (
	maxArchive  = 256 << 20
	maxEntries  = 20_000
	maxFields   = 500      // of one header
	maxField    = 64 << 10 // bytes of a name, a value, a path
	maxMessages = 1000     // of one stream
	maxData     = 64 << 10 // bytes of one message
)

// Errors of ReadHAR.
var (
	ErrNotHAR   = errors.New("this is no HTTP archive (HAR): choose a file that a browser or Culvert has exported")
	ErrTooLarge = fmt.Errorf("the archive is larger than %d MB or has more than %d requests: export fewer requests", maxArchive>>20, maxEntries)
)

// ReadHAR reads an HTTP archive, such as browsers export. With an error comes what
// had been read until then. The exchanges have no ID.
func ReadHAR(r io.Reader) ([]*exchange.Exchange, error) {
	return readHAR(r, maxArchive)
}

func readHAR(r io.Reader, most int64) ([]*exchange.Exchange, error) {
	in := bufio.NewReader(&bounded{r, most})
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		in.Discard(3)
	}
	d := json.NewDecoder(in)
	if err := into(d, "log", '{'); err != nil {
		return nil, err
	}
	if err := into(d, "entries", '['); err != nil {
		return nil, err
	}
	var exchanges []*exchange.Exchange
	for d.More() {
		if len(exchanges) >= maxEntries {
			return exchanges, ErrTooLarge
		}
		var e harEntry
		var wrongType *json.UnmarshalTypeError
		if err := d.Decode(&e); err != nil && !errors.As(err, &wrongType) {
			return exchanges, broken(err)
		}
		if e.Request.Method != "" || e.Request.URL != "" {
			exchanges = append(exchanges, exchangeOf(&e))
		}
	}
	if _, err := d.Token(); err != nil {
		return exchanges, broken(err)
	}
	return exchanges, nil
}

// into goes into the value of an object's field, past all others. The object begins
// with the next token, but for one that it is already in.
func into(d *json.Decoder, field string, open json.Delim) error {
	if field == "log" {
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return notHAR(err)
		}
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return notHAR(err)
		}
		if t == field {
			if t, err := d.Token(); err != nil || t != open {
				return notHAR(err)
			}
			return nil
		}
		var other json.RawMessage
		if err := d.Decode(&other); err != nil {
			return notHAR(err)
		}
	}
	return ErrNotHAR
}

func notHAR(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	if err == nil {
		return ErrNotHAR
	}
	return fmt.Errorf("%w (%w)", ErrNotHAR, err)
}

func broken(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the archive is broken after what was read of it: export it again (%w)", err)
}

// bounded fails beyond a length.
type bounded struct {
	io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// One byte more is one too many.
		var one [1]byte
		if n, err := b.Reader.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, ErrTooLarge
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func exchangeOf(e *harEntry) *exchange.Exchange {
	own := cmp.Or(e.Culvert, &harExtension{})
	host, path := splitURL(cut(string(e.Request.URL), maxField))
	x := &exchange.Exchange{
		Tunnel: short(own.Tunnel), Target: short(own.Target), URL: cut(string(e.Request.URL), maxField),
		Method: cut(string(e.Request.Method), 64), Path: cmp.Or(cut(string(own.Path), maxField), path),
		RemoteAddr: short(own.RemoteAddr), Upgrade: short(own.Upgrade), Detail: short(own.Detail), NoTarget: own.NoTarget,
		Open: own.Open, Redacted: own.Redacted, Skipped: int(own.Skipped.within(0, math.MaxInt32)),
		Status: int(e.Response.Status.within(0, 999)), Err: short(e.Response.Error),
		Duration: duration(e.Time),
	}
	x.Start, _ = time.Parse(time.RFC3339Nano, string(e.Started))
	// What is not receiving was waiting: for a connection too, which our own have.
	if receive := duration(e.Timings.Receive); e.Timings.Receive >= 0 && receive < x.Duration {
		x.Waited = x.Duration - receive
	}
	var authority string
	x.Request.Header, authority = readFields(e.Request.Headers)
	x.Response.Header, _ = readFields(e.Response.Headers)
	x.Host = cmp.Or(short(own.Host), authority, x.Request.Header.Get("Host"), host)
	if x.Upgrade == "" && e.Type == "websocket" {
		x.Upgrade = "websocket"
	}
	readPost(&x.Request, &e.Request, own)
	readContent(&x.Response, &e.Response, own)
	readMessages(x, e)
	return x
}

func short(s loose) string { return cut(string(s), 4<<10) }

func duration(n number) time.Duration {
	most := number(30 * 24 * time.Hour / time.Millisecond)
	return time.Duration(math.Round(float64(min(max(n, 0), most)) * float64(time.Millisecond)))
}

// splitURL is a URL's host, and its path with the query, as they are written.
func splitURL(raw string) (host, path string) {
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		rest = raw
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return rest, "/"
	}
	host, path = rest[:end], rest[end:]
	if path[0] == '?' {
		path = "/" + path
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	return host, path
}

// readFields is the header, and what HTTP/2 has instead of Host.
func readFields(list []harPair) (h http.Header, authority string) {
	h = http.Header{}
	for _, f := range list[:min(len(list), maxFields)] {
		name, value := cut(string(f.Name), maxField), cut(string(f.Value), maxField)
		if name == ":authority" {
			authority = value
		}
		// The others that begin with a colon are in the request line.
		if httpguts.ValidHeaderFieldName(name) {
			// Firefox joins several fields by newlines.
			for line := range strings.SplitSeq(value, "\n") {
				if line = strings.TrimRight(line, "\r"); httpguts.ValidHeaderFieldValue(line) {
					h.Add(name, line)
				}
			}
		}
	}
	return h, authority
}

func readPost(m *exchange.Message, r *harRequest, own *harExtension) {
	m.Truncated, m.Dropped = own.RequestTruncated, own.RequestDropped
	if p := r.Post; p != nil {
		text := string(p.Text)
		if text == "" && len(p.Params) > 0 {
			text = formOf(p.Params)
		}
		m.Body = bytesOf(text, p.Encoding)
		if p.MimeType != "" && m.Header.Get("Content-Type") == "" && httpguts.ValidHeaderFieldValue(string(p.MimeType)) {
			m.Header.Set("Content-Type", short(p.MimeType))
		}
	}
	finish(m, r.BodySize, 0)
}

func formOf(params []harPair) string {
	var out []string
	for _, p := range params[:min(len(params), maxFields)] {
		out = append(out, string(p.Name)+"="+string(p.Value)) // as they were sent: escaped
	}
	return strings.Join(out, "&")
}

func readContent(m *exchange.Message, r *harResponse, own *harExtension) {
	m.Truncated, m.Dropped = own.ResponseTruncated, own.ResponseDropped
	if r.Content.Text != nil {
		m.Body = bytesOf(string(*r.Content.Text), r.Content.Encoding)
	}
	finish(m, r.BodySize, r.Content.Size)
}

func bytesOf(text string, encoding loose) []byte {
	if text == "" {
		return nil
	}
	if strings.EqualFold(string(encoding), "base64") {
		if data, err := base64.StdEncoding.DecodeString(text); err == nil {
			return data
		}
	}
	return []byte(text)
}

// finish makes body, size and header agree.
func finish(m *exchange.Message, travelled, size number) {
	if len(m.Body) > 0 {
		m.Header.Del("Content-Encoding") // archives have bodies without
	}
	m.Size = max(travelled, 0).within(0, math.MaxInt64/2)
	if m.Size == 0 {
		m.Size = max(int64(len(m.Body)), size.within(0, math.MaxInt64/2))
	}
	if len(m.Body) > maxBody {
		m.Size = max(m.Size, int64(len(m.Body)))
		m.Body, m.Truncated = m.Body[:maxBody:maxBody], true
	}
	if len(m.Body) == 0 && m.Size > 0 {
		m.Dropped = true // exported without bodies
	}
}

func readMessages(x *exchange.Exchange, e *harEntry) {
	kinds := map[int64]exchange.MessageKind{}
	for kind, opcode := range opcodes {
		kinds[int64(opcode)] = kind
	}
	for _, f := range e.Frames[:min(len(e.Frames), maxMessages)] {
		kind, known := kinds[f.Opcode.within(0, 16)]
		if !known {
			continue
		}
		m := exchange.StreamMessage{Time: moment(f.Time), From: exchange.FromService, Kind: kind, Data: []byte(f.Data), Truncated: f.Truncated}
		if f.Type == "send" {
			m.From = exchange.FromVisitor
		}
		if kind == exchange.Binary || f.Base64 {
			m.Data = bytesOf(string(f.Data), "base64")
		}
		addMessage(x, m, f.Size)
	}
	for _, v := range e.Events[:min(len(e.Events), maxMessages)] {
		addMessage(x, exchange.StreamMessage{Time: moment(v.Time), From: exchange.FromService, Kind: exchange.Event,
			Name: short(v.Name), LastID: short(v.ID), Data: []byte(v.Data), Truncated: v.Truncated}, v.Size)
	}
	x.Skipped += max(0, len(e.Frames)-maxMessages) + max(0, len(e.Events)-maxMessages)
}

func addMessage(x *exchange.Exchange, m exchange.StreamMessage, size number) {
	m.Size = max(int64(len(m.Data)), size.within(0, math.MaxInt64/2))
	if len(m.Data) > maxData {
		m.Data, m.Truncated = m.Data[:maxData:maxData], true
	}
	x.Messages = append(x.Messages, m)
}

// moment is a time in seconds since 1970.
func moment(seconds number) time.Time {
	const most = 1 << 40 // tens of thousands of years
	if seconds <= 0 || seconds > most {
		return time.Time{}
	}
	return time.UnixMicro(int64(math.Round(float64(seconds) * 1e6))).UTC()
}
