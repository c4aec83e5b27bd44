package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"culvert/app/capture"
	"culvert/app/engine"
	"culvert/app/session"
)

// The JSON lines, as documented for whoever reads them.
type (
	lineHead struct {
		Time  string `json:"time"`
		Event string `json:"event"`
	}
	onlineLine struct {
		lineHead
		TunnelID     string `json:"tunnel_id"`
		PublicURL    string `json:"public_url"`
		PathBasedURL string `json:"path_based_url"`
		SubdomainURL string `json:"subdomain_url"`        // "" if the backend has none
		StreamURL    string `json:"stream_url,omitempty"` // only of a backend with a second address that streams
		Target       string `json:"target"`
	}
	reconnectingLine struct {
		lineHead
		Attempt   int    `json:"attempt"`
		RetryInMS int64  `json:"retry_in_ms"` // 0: the try is under way
		Cause     string `json:"cause"`
	}
	requestLine struct {
		lineHead
		ID         string `json:"id"`
		Method     string `json:"method"`
		Path       string `json:"path"`
		Status     int    `json:"status"` // 0: the visitor left before there was one
		DurationMS int64  `json:"duration_ms"`
		BytesIn    int64  `json:"bytes_in"`
		BytesOut   int64  `json:"bytes_out"`
		RemoteAddr string `json:"remote_addr"`
		Cause      string `json:"cause,omitempty"` // why there is no whole answer of the service
	}
	offlineLine struct {
		lineHead
		Cause string `json:"cause"`
	}
	noticeLine struct {
		lineHead
		Message string `json:"message"`
		// The rest is of notices that somebody has sent through the backend.
		Title string          `json:"title,omitempty"`
		ID    string          `json:"id,omitempty"`
		Data  json.RawMessage `json:"data,omitempty"`
	}
)

// JSON shows a tunnel as one JSON object per line.
type JSON struct {
	target string
	lines  *Lines

	mu   sync.Mutex
	line []byte // room for a request's, used again and again
}

// NewJSON shows the tunnel to target on out; gone is told when that cannot be
// written to any more.
func NewJSON(out io.Writer, target string, gone func(error)) *JSON {
	lost := func(n int) []byte {
		return encode(noticeLine{lineHead: head("notice", time.Now()), Message: lostMessage(n)})
	}
	return &JSON{target: target, lines: NewLines(out, lost, gone)}
}

// Show implements Console.
func (j *JSON) Show(event engine.Event) {
	now := time.Now()
	switch e := event.(type) {
	case engine.StatusChanged:
		j.status(e.Status, now)
	case engine.RequestDone:
		j.request(e.Exchange)
	case engine.Dropped:
		j.notice(droppedMessage(e.N), now)
	case engine.Notice:
		j.notice(e.Message, now)
	case engine.NoticeReceived: // may be large, and many: not among the important ones
		_, _ = j.lines.Write(encode(noticeLine{head("notice", now), e.Text, e.Title, e.ID, e.Data}))
	}
}

func (j *JSON) request(x *capture.Exchange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := requestLine{
		head("request", x.Start.Add(x.Duration)), x.ID, x.Method, x.Path, x.Status,
		x.Duration.Milliseconds(), x.BytesIn, x.BytesOut, x.RemoteAddr, errorText(x.Err),
	}
	if j.line = line.append(j.line[:0]); len(j.line) == 0 {
		j.line = encode(line)
	}
	_, _ = j.lines.Write(j.line)
	if cap(j.line) > keepLine {
		j.line = nil
	}
}

// keepLine is the longest line whose room is kept.
const keepLine = 8 << 10

// append is encode for lines whose texts need no escapes, as almost all: requests are
// many, and encode costs several times as much. For others, and for those that have
// failed, it gives nothing.
func (l *requestLine) append(b []byte) []byte {
	if l.Cause != "" {
		return nil
	}
	for _, text := range [...]string{l.ID, l.Method, l.Path, l.RemoteAddr} {
		for i := range len(text) {
			if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
				return nil
			}
		}
	}
	b = appendText(b, `{"time":"`, l.Time)
	b = appendText(b, `","event":"`, l.Event)
	b = appendText(b, `","id":"`, l.ID)
	b = appendText(b, `","method":"`, l.Method)
	b = appendText(b, `","path":"`, l.Path)
	b = appendNumber(b, `","status":`, int64(l.Status))
	b = appendNumber(b, `,"duration_ms":`, l.DurationMS)
	b = appendNumber(b, `,"bytes_in":`, l.BytesIn)
	b = appendNumber(b, `,"bytes_out":`, l.BytesOut)
	b = appendText(b, `,"remote_addr":"`, l.RemoteAddr)
	return append(b, "\"}\n"...)
}

func appendText(b []byte, name, value string) []byte { return append(append(b, name...), value...) }

func appendNumber(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(b, name...), value, 10)
}

func (j *JSON) status(s session.Status, now time.Time) {
	switch s.State {
	case session.Online:
		est := s.Established
		j.lines.WriteImportant(encode(onlineLine{
			head("online", now), est.TunnelID, est.PublicURL, est.PathBasedURL, est.SubdomainURL, est.StreamURL, j.target,
		}))
	case session.Reconnecting:
		j.lines.WriteImportant(encode(reconnectingLine{
			head("reconnecting", now), s.Attempt, max(0, s.NextTry.Sub(now).Milliseconds()), errorText(s.Cause),
		}))
	}
}

func (j *JSON) notice(message string, now time.Time) {
	j.lines.WriteImportant(encode(noticeLine{lineHead: head("notice", now), Message: message}))
}

// Offline implements Console.
func (j *JSON) Offline(cause string) {
	j.lines.WriteImportant(encode(offlineLine{head("offline", time.Now()), cause}))
}

// Lines implements Console.
func (j *JSON) Lines() *Lines { return j.lines }

func head(event string, t time.Time) lineHead {
	return lineHead{Time: t.Format(time.RFC3339Nano), Event: event}
}

// encode panics on what cannot be encoded: the lines above always can.
func encode(line any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		panic(fmt.Sprintf("console: %v", err))
	}
	return escapeJSON(b.Bytes())
}

func lostMessage(n int) string {
	return fmt.Sprintf("%d lines were left out here because whoever reads this log is too slow; the requests took place", n)
}

func droppedMessage(n int) string {
	return fmt.Sprintf("%d requests are missing in this log because there were too many at once; they took place", n)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
