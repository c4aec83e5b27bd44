package wire

import (
	"encoding/json"
	"net/url"
	"slices"
)

// What declared peers add to messages about requests, and messages of their own.

func (f *fields) requestExtension(m *HTTPRequest) {
	m.More = f.bool("more", f.More)
	m.Encoding = f.encoding()
	m.BodySize = f.int64("body_size", f.BodySize, MaxBlob)
	m.BodyURL = f.string("body_url", f.BodyURL)
	m.Upload = f.upload()
	m.TimeoutMS = f.int64("timeout_ms", f.TimeoutMS, MaxTimeoutMS)
	m.Stream = f.bool("stream", f.Stream)
	m.Credit = f.bounded("credit", f.Credit, 0, MaxCredit)
	switch parts := m.More || m.Encoding != EncodingNone; {
	case m.BodyURL == "":
		f.bodySize(m.BodySize, parts, parts)
	case parts || len(m.Body) > 0:
		f.fail(protocolError("http_request with body_url and a body"))
	case checkURL("body_url", m.BodyURL) != nil:
		f.fail(checkURL("body_url", m.BodyURL))
	case m.BodySize == 0:
		f.fail(protocolError("body_url without body_size"))
	}
	if (m.Credit > 0) != m.Stream {
		f.fail(protocolError("stream and credit: one without the other"))
	}
}

func (f *fields) responseExtension(m *HTTPResponse) {
	m.Session = f.session()
	m.More = f.bool("more", f.More)
	m.Encoding = f.encoding()
	m.BodySize = f.int64("body_size", f.BodySize, MaxBlob)
	m.Uploaded = f.bool("uploaded", f.Uploaded)
	m.Resent = f.bool("resent", f.Resent)
	encoded := m.Encoding != EncodingNone
	switch {
	case !m.Uploaded:
		f.bodySize(m.BodySize, m.More || encoded, encoded)
	case m.More || encoded || len(m.Body) > 0:
		f.fail(protocolError("http_response with uploaded and a body"))
	case m.BodySize == 0:
		f.fail(protocolError("uploaded without body_size"))
	}
}

// bodySize checks the length of a body that comes in messages: whether it may be
// there, and whether it must.
func (f *fields) bodySize(n int64, may, must bool) {
	switch {
	case n > MaxParts:
		f.fail(tooLarge("body_size", MaxParts))
	case n > 0 && !may:
		f.fail(protocolError("body_size of a body that is here"))
	case n == 0 && must:
		f.fail(protocolError("more or encoding without body_size"))
	}
}

func (f *fields) chunk(id string) *Chunk {
	m := &Chunk{
		RequestID: id,
		Seq:       f.bounded("seq", f.Seq, 1, MaxSeq),
		Last:      f.bool("last", f.Last),
		Body:      f.body(),
		Session:   f.session(),
		Resent:    f.bool("resent", f.Resent),
	}
	if len(m.Body) == 0 && !m.Last {
		f.fail(protocolError("chunk without body"))
	}
	return m
}

func (f *fields) resend(id string, size int) *Resend {
	if size > MaxControlMessage {
		f.fail(tooLarge("a control message's size in bytes", MaxControlMessage))
		return nil
	}
	m := &Resend{RequestID: id, Session: f.session()}
	if present(f.From) {
		from := f.bounded("from", f.From, 0, MaxSeq)
		m.From = &from
	}
	if present(f.Seqs) {
		if err := json.Unmarshal(f.Seqs, &m.Seqs); err != nil {
			f.fail(protocolError("seqs is not a list of whole numbers"))
		}
	}
	switch {
	case len(m.Seqs) > MaxWanted:
		f.fail(tooLarge("the number of seqs", MaxWanted))
	case len(m.Seqs) == 0 && m.From == nil:
		f.fail(protocolError("resend of nothing"))
	case slices.ContainsFunc(m.Seqs, func(n int) bool { return n < 0 || n > MaxSeq }):
		f.fail(protocolError("seqs has a number out of range"))
	}
	if len(m.Seqs) == 0 {
		m.Seqs = nil
	}
	return m
}

func (f *fields) upload() *Upload {
	if !present(f.Upload) {
		return nil
	}
	var raw struct {
		URL      json.RawMessage   `json:"url"`
		Fields   map[string]string `json:"fields"`
		MaxBytes json.RawMessage   `json:"max_bytes"`
	}
	if len(f.Upload) > 4*(MaxURL+MaxUploadForm) {
		f.fail(tooLarge("upload's size in bytes", 4*(MaxURL+MaxUploadForm)))
		return nil
	}
	if err := json.Unmarshal(f.Upload, &raw); err != nil {
		f.fail(protocolError("upload: %v", err))
		return nil
	}
	u := &Upload{
		URL:      f.string("upload.url", raw.URL),
		Fields:   raw.Fields,
		MaxBytes: f.int64("upload.max_bytes", raw.MaxBytes, MaxBlob),
	}
	size := 0
	for name, value := range u.Fields {
		size += len(name) + len(value)
		if err := checkField(name, value); err != nil {
			f.fail(err)
		}
	}
	switch {
	case len(u.Fields) > MaxUploadFields:
		f.fail(tooLarge("the number of upload.fields", MaxUploadFields))
	case size > MaxUploadForm:
		f.fail(tooLarge("the size of upload.fields in bytes", MaxUploadForm))
	case u.MaxBytes == 0:
		f.fail(protocolError("upload without max_bytes"))
	}
	f.fail(checkURL("upload.url", u.URL))
	return u
}

// checkURL wants an absolute URL of the web, without a user in it.
func checkURL(name, text string) error {
	if len(text) > MaxURL {
		return tooLarge(name+"'s length in bytes", MaxURL)
	}
	// Not the parser's own error: it quotes the URL, whose query is a secret.
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return protocolError("%s is no http or https URL", name)
	}
	return nil
}

func (f *fields) encoding() Encoding {
	e := Encoding(f.string("encoding", f.Encoding))
	if e != EncodingNone && e != EncodingGzip {
		f.fail(protocolError("encoding %.40q is unknown", e))
	}
	return e
}

// session is "" unless the peer has declared something.
func (f *fields) session() string {
	if !f.declared {
		return ""
	}
	s := f.string("session", f.Session)
	if len(s) > MaxSession {
		f.fail(tooLarge("session's length in bytes", MaxSession))
	}
	return s
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// bool gives false for a missing or null field.
func (f *fields) bool(name string, raw json.RawMessage) bool {
	var b bool
	if len(raw) == 0 {
		return false
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		f.fail(protocolError("%s is not true or false", name))
	}
	return b
}

// int64 gives 0 for a missing or null field.
func (f *fields) int64(name string, raw json.RawMessage, limit int64) int64 {
	n := f.integer(name, raw)
	if n > limit {
		f.fail(protocolError("%s is over %d", name, limit))
		return 0
	}
	return n
}

// bounded is a number from least to most.
func (f *fields) bounded(name string, raw json.RawMessage, least, most int64) int {
	n := f.integer(name, raw)
	if n < least || n > most {
		f.fail(protocolError("%s is not within %d to %d", name, least, most))
		return 0
	}
	return int(n)
}
