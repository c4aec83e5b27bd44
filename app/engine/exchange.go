package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"

	"culvert/app/capture"
	"culvert/app/exchange"
	"culvert/backend/wire"
)

// Exchange is a record of t as plain data, which stands on its own: OnEvent need not
// keep the bodies. It gives the same ID whenever it is asked about the same exchange,
// so that the Snapshot of a stream can be replaced by what comes of it. The service is the
// one that got the request, whatever the tunnel has been made to lead to since.
func Exchange(t *Tunnel, x *capture.Exchange) *exchange.Exchange {
	from := x.Origin
	if from == nil { // it did not come through a wiring
		from = t.wired.Load().origin
	}
	e := &exchange.Exchange{
		ID: t.exchangeID(x), Tunnel: from.Tunnel, Target: from.Target, URL: t.publicURL(x),
		Start: x.Start, Duration: x.Duration, Waited: x.Waited,
		RemoteAddr: x.RemoteAddr, Method: x.Method, Path: x.Path, Host: x.Host, Upgrade: x.Upgrade,
		Status: x.Status,
		Request: exchange.Message{
			Header: x.RequestHeader, Body: x.RequestBody.Bytes(), Size: x.BytesIn,
			Truncated: x.RequestBody.Truncated, Dropped: x.RequestBody.Dropped,
		},
		Response: exchange.Message{
			Header: x.ResponseHeader, Body: x.ResponseBody.Bytes(), Size: x.BytesOut,
			Truncated: x.ResponseBody.Truncated, Dropped: x.ResponseBody.Dropped,
		},
		ReplayOf: x.ReplayOf,
	}
	if x.Stream != nil {
		e.Open = !x.Stream.Done()
		e.Messages, e.Skipped = x.Stream.Messages(0)
	}
	if x.Err != nil {
		e.Err, e.Detail, e.NoTarget = explain(x.Err)
	}
	return e
}

// explain divides an error into what is meant for people and what the system said,
// which the forwarder appends in brackets.
func explain(err error) (plain, detail string, noTarget bool) {
	var reset *wire.ResetError
	if !errors.As(err, &reset) || reset.Message == "" {
		return err.Error(), "", false
	}
	if rest, ok := strings.CutPrefix(err.Error(), reset.Message+" ("); ok {
		// A name has several addresses, and each fails in a line of its own.
		detail = strings.ReplaceAll(strings.TrimSuffix(rest, ")"), "\n", "; ")
	}
	return reset.Message, detail, reset.Code == wire.ResetUnavailable
}

// exchangeID is a UUID that follows from what makes the exchange unique: this process,
// its tunnel, and the name and the moment that it has there (RFC 9562, 5.8).
func (t *Tunnel) exchangeID(x *capture.Exchange) string {
	var room [128]byte
	text := room[:0]
	for _, part := range [...]string{t.engine.process, t.key, x.ID} {
		text = append(append(text, part...), '\n')
	}
	text = binary.BigEndian.AppendUint64(text, uint64(x.Start.UnixNano()))
	id := sha256.Sum256(text)
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	written := room[:0]
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:16]} {
		if i > 0 {
			written = append(written, '-')
		}
		written = hex.AppendEncode(written, part)
	}
	return string(written)
}

// publicURL is what the visitor asked for, or "" if it came from no visitor.
func (t *Tunnel) publicURL(x *capture.Exchange) string {
	if x.Host == "" || x.ReplayOf != "" || !strings.HasPrefix(x.Path, "/") {
		return ""
	}
	scheme := strings.ToLower(first(x.RequestHeader["X-Forwarded-Proto"]))
	if scheme != "http" && scheme != "https" {
		scheme = "https"
		if u, err := url.Parse(t.Status().Established.PublicURL); err == nil && u.Scheme != "" {
			scheme = u.Scheme
		}
	}
	host := first(x.RequestHeader["X-Forwarded-Host"])
	if host == "" {
		host = x.Host
	}
	return scheme + "://" + host + x.Prefix + x.Path
}

// first is the first element of a list field with these values.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	element, _, _ := strings.Cut(values[0], ",")
	return strings.TrimSpace(element)
}
