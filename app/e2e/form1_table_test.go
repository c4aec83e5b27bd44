package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// The forwarder and the backend of the files beside this one are written from the
// table of form 1 in the protocol's description alone. They declare nothing, so
// whatever they are sent has to be in that table.

// fieldTypes are the table's fields with what their JSON has to look like.
var fieldTypes = map[string]string{
	"type":               `^"[a-z_]+"$`,
	"connection_id":      `^".+"$`,
	"tunnel_id":          `^"[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])"$`,
	"public_url":         `^"https?://.+"$`,
	"subdomain_url":      `^"https?://.+"$`,
	"path_based_url":     `^"https?://.+"$`,
	"request_id":         `^".+"$`,
	"method":             `^".+"$`,
	"uri":                `^"/.*"$`,
	"headers":            `^\{.*\}$`,
	"body":               `^"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"$`,
	"timestamp":          `^[0-9]+$`,
	"status_code":        `^[1-9][0-9]{2}$`,
	"processing_time_ms": `^[0-9]+$`,
	"code":               `^"(invalid_request|timeout|local_service_unavailable|internal_error)"$`,
	"message":            `^".*"$`,
}

// required and optional fields by type.
var (
	requiredFields = map[string]string{
		"ready":                  "type",
		"connection_established": "type connection_id tunnel_id public_url",
		"http_request":           "type request_id method uri headers body timestamp",
		"http_response":          "type request_id status_code headers body processing_time_ms",
		"ping":                   "type", "pong": "type",
		"error": "type code message",
	}
	optionalFields = map[string]string{"connection_established": "subdomain_url path_based_url", "error": "request_id"}
)

// checkMessage holds a message against the table. Unknown fields are findings
// unless the sender may declare itself in this message.
func checkMessage(text []byte, mayDeclare bool) (message, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return message{}, fmt.Errorf("no JSON object: %w: %.200s", err, text)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return message{}, fmt.Errorf("%w: %.200s", err, text)
	}
	required, known := requiredFields[m.Type]
	if !known {
		return m, fmt.Errorf("unknown type: %.200s", text)
	}
	for _, name := range strings.Fields(required) {
		if _, ok := fields[name]; !ok {
			return m, fmt.Errorf("no %s in %.200s", name, text)
		}
	}
	for name, value := range fields {
		if !strings.Contains(" "+required+" "+optionalFields[m.Type]+" ", " "+name+" ") {
			if mayDeclare {
				continue
			}
			return m, fmt.Errorf("field %s is not for a peer that declared nothing: %.300s", name, text)
		}
		if !regexp.MustCompile(`(?s)` + fieldTypes[name]).Match(value) {
			return m, fmt.Errorf("%s is %.200s", name, value)
		}
	}
	return m, nil
}

// message is any message of form 1.
type message struct {
	Type         string              `json:"type"`
	ConnectionID string              `json:"connection_id,omitempty"`
	TunnelID     string              `json:"tunnel_id,omitempty"`
	PublicURL    string              `json:"public_url,omitempty"`
	SubdomainURL string              `json:"subdomain_url,omitempty"`
	PathBasedURL string              `json:"path_based_url,omitempty"`
	RequestID    string              `json:"request_id,omitempty"`
	Method       string              `json:"method,omitempty"`
	URI          string              `json:"uri,omitempty"`
	Headers      map[string][]string `json:"headers,omitempty"`
	Body         string              `json:"body"`
	Timestamp    int64               `json:"timestamp,omitempty"`
	StatusCode   int                 `json:"status_code,omitempty"`
	Millis       int64               `json:"processing_time_ms"`
	Code         string              `json:"code,omitempty"`
	Message      string              `json:"message,omitempty"`
}

func (m message) header(name string) []string {
	for n, values := range m.Headers {
		if strings.EqualFold(n, name) {
			return values
		}
	}
	return nil
}

func (m message) body(t testing.TB) string {
	body, err := base64.StdEncoding.DecodeString(m.Body)
	if err != nil {
		t.Errorf("body: %v", err)
	}
	return string(body)
}
