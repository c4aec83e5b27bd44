package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/visitor"
)

// answer is what goes to the visitor.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// parseAnswer reads what a function returned. A body without a content type gets
// defaultType.
func parseAnswer(payload []byte, format Format, defaultType string) (*answer, error) {
	if payload = bytes.TrimSpace(payload); !bytes.HasPrefix(payload, []byte("{")) {
		if !json.Valid(payload) {
			return nil, errors.New("it is not JSON")
		}
		return implied(payload, format)
	}
	var out struct {
		StatusCode        *int                         `json:"statusCode"`
		Headers           map[string]json.RawMessage   `json:"headers"`
		MultiValueHeaders map[string][]json.RawMessage `json:"multiValueHeaders"`
		Cookies           []string                     `json:"cookies"`
		Body              *string                      `json:"body"`
		IsBase64Encoded   bool                         `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(payload, &out); err != nil {
		var wrong *json.UnmarshalTypeError
		if out.StatusCode == nil && errors.As(err, &wrong) && wrong.Field != "statusCode" {
			return implied(payload, format) // an object of the function's own
		}
		return nil, err
	}
	if out.StatusCode == nil {
		return implied(payload, format)
	}
	if *out.StatusCode < 200 || *out.StatusCode > 599 {
		return nil, fmt.Errorf("status code %d", *out.StatusCode)
	}
	ans := &answer{status: *out.StatusCode, header: make(http.Header)}
	for name, raw := range out.Headers {
		if err := ans.addJSON(name, raw); err != nil {
			return nil, err
		}
	}
	switch format {
	case V1:
		for name, values := range out.MultiValueHeaders {
			ans.header.Del(name) // what both have, this one says
			for _, raw := range values {
				if err := ans.addJSON(name, raw); err != nil {
					return nil, err
				}
			}
		}
	case V2:
		for _, cookie := range out.Cookies {
			if err := ans.add("Set-Cookie", cookie); err != nil {
				return nil, err
			}
		}
	}
	if out.Body != nil {
		ans.body = []byte(*out.Body)
	}
	if out.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(string(ans.body))
		if err != nil {
			return nil, errors.New("the body is not base64")
		}
		ans.body = decoded
	}
	if len(ans.body) > 0 && ans.header.Get("Content-Type") == "" {
		ans.header.Set("Content-Type", defaultType)
	}
	return ans, nil
}

// implied is an answer that is only a body: format 2.0 takes any JSON for it.
func implied(body []byte, format Format) (*answer, error) {
	if format == V1 {
		return nil, errors.New("it has no statusCode")
	}
	var text string
	if bytes.HasPrefix(body, []byte(`"`)) && json.Unmarshal(body, &text) == nil {
		body = []byte(text)
	}
	return &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: body}, nil
}

// addJSON takes strings, and numbers and truth values as they are written.
func (a *answer) addJSON(name string, raw json.RawMessage) error {
	var value string
	if err := json.Unmarshal(raw, &value); err != nil {
		if value = string(raw); value[0] == '{' || value[0] == '[' {
			return fmt.Errorf("header %q has no simple value", name)
		}
	}
	return a.add(name, value)
}

func (a *answer) add(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("%q is no header field", name)
	}
	a.header.Add(name, value)
	return nil
}

// write sends the answer. There are no trailers, and lengths are the gateway's
// business: only for HEAD, whose body is left out, may the function say one.
func (a *answer) write(w http.ResponseWriter, method string) {
	copyHeader(w.Header(), a.header)
	bodiless := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	switch {
	case method == http.MethodHead && len(a.body) == 0 && a.declares():
		w.Header().Set("Content-Length", a.header.Get("Content-Length"))
	case !bodiless:
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if method != http.MethodHead && !bodiless {
		w.Write(a.body) // the visitor may have gone
	}
}

// declares says whether the function told a length.
func (a *answer) declares() bool {
	_, err := strconv.ParseUint(a.header.Get("Content-Length"), 10, 63)
	return err == nil
}

func copyHeader(dst, src http.Header) {
	visitor.CopyAnswer(dst, src)
	if dst.Get("Content-Type") == "" {
		dst["Content-Type"] = nil // or the server would guess one
	}
}
