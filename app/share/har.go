package share

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// The parts of an HTTP archive (http://www.softwareishard.com/blog/har-12-spec/).
// Fields with an underscore are not of the standard: browsers have some, and
// _culvert holds what the standard has no place for.
type (
	harEntry struct {
		Started  loose         `json:"startedDateTime"`
		Time     number        `json:"time"`
		Request  harRequest    `json:"request"`
		Response harResponse   `json:"response"`
		Cache    struct{}      `json:"cache"`
		Timings  harTimings    `json:"timings"`
		Frames   frameList     `json:"_webSocketMessages,omitzero"`
		Events   eventList     `json:"_eventSourceMessages,omitzero"`
		Type     loose         `json:"_resourceType,omitempty"`
		Culvert  *harExtension `json:"_culvert,omitempty"`
	}
	harRequest struct {
		Method      loose     `json:"method"`
		URL         loose     `json:"url"`
		HTTPVersion loose     `json:"httpVersion"`
		Cookies     unread    `json:"cookies"`
		Headers     fieldList `json:"headers"`
		Query       unread    `json:"queryString"`
		Post        *harPost  `json:"postData,omitempty"`
		HeadersSize number    `json:"headersSize"`
		BodySize    number    `json:"bodySize"`
	}
	harResponse struct {
		Status      number     `json:"status"`
		StatusText  loose      `json:"statusText"`
		HTTPVersion loose      `json:"httpVersion"`
		Cookies     unread     `json:"cookies"`
		Headers     fieldList  `json:"headers"`
		Content     harContent `json:"content"`
		RedirectURL loose      `json:"redirectURL"`
		HeadersSize number     `json:"headersSize"`
		BodySize    number     `json:"bodySize"`
		Error       loose      `json:"_error,omitempty"`
	}
	harPair struct {
		Name  loose `json:"name"`
		Value loose `json:"value"`
	}
	harPost struct {
		MimeType loose     `json:"mimeType"`
		Params   fieldList `json:"params"`
		Text     loose     `json:"text"`
		Encoding loose     `json:"encoding,omitempty"` // "base64", as in content
	}
	harContent struct {
		Size     number `json:"size"`
		MimeType loose  `json:"mimeType"`
		Text     *loose `json:"text,omitempty"`
		Encoding loose  `json:"encoding,omitempty"`
		Comment  loose  `json:"comment,omitempty"`
	}
	harTimings struct {
		Send    number `json:"send"`
		Wait    number `json:"wait"`
		Receive number `json:"receive"`
	}
	// harFrame is as Chrome writes it: binary data in Base64, seconds since 1970.
	harFrame struct {
		Type      loose  `json:"type"` // "send" or "receive"
		Time      number `json:"time"`
		Opcode    number `json:"opcode"`
		Data      loose  `json:"data"`
		Base64    bool   `json:"_base64,omitempty"` // also where the opcode does not say so
		Size      number `json:"_size,omitempty"`   // of all, if data is cut
		Truncated bool   `json:"_truncated,omitempty"`
	}
	harEvent struct {
		Time      number `json:"time"`
		Name      loose  `json:"eventName"`
		ID        loose  `json:"eventId"`
		Data      loose  `json:"data"`
		Size      number `json:"_size,omitempty"`
		Truncated bool   `json:"_truncated,omitempty"`
	}
	harExtension struct {
		Tunnel            loose  `json:"tunnel,omitempty"`
		Target            loose  `json:"target,omitempty"`
		Path              loose  `json:"path,omitempty"` // if it is not the URL's
		Host              loose  `json:"host,omitempty"`
		RemoteAddr        loose  `json:"remoteAddr,omitempty"`
		Upgrade           loose  `json:"upgrade,omitempty"`
		Detail            loose  `json:"detail,omitempty"`
		NoTarget          bool   `json:"noTarget,omitempty"`
		Open              bool   `json:"open,omitempty"`
		Redacted          bool   `json:"redacted,omitempty"`
		Skipped           number `json:"skipped,omitempty"`
		RequestTruncated  bool   `json:"requestTruncated,omitempty"`
		RequestDropped    bool   `json:"requestDropped,omitempty"`
		ResponseTruncated bool   `json:"responseTruncated,omitempty"`
		ResponseDropped   bool   `json:"responseDropped,omitempty"`
	}
)

// loose is a string that may be written as something else, or not at all.
type loose string

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose) UnmarshalJSON(p []byte) error {
	switch {
	case len(p) > 0 && p[0] == '"':
		return json.Unmarshal(p, (*string)(l))
	case string(p) == "null" || len(p) > 0 && (p[0] == '{' || p[0] == '['):
		*l = ""
	default:
		*l = loose(p)
	}
	return nil
}

// number is a number that may be written as a string, or not at all.
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(p []byte) error {
	f, err := strconv.ParseFloat(string(bytes.Trim(p, `"`)), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	*n = number(f)
	return nil
}

// MarshalJSON implements json.Marshaler: whole numbers are written as such.
func (n number) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(n), 'f', -1, 64), nil
}

// within is the number between bounds, whatever it is.
func (n number) within(least, most int64) int64 {
	switch {
	case float64(n) <= float64(least):
		return least
	case float64(n) >= float64(most):
		return most
	}
	return int64(n)
}
