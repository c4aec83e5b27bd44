package notices

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// maxAddress bounds what a notice is addressed to, in bytes.
const maxAddress = 512

// envelope is a message of either queue. Members that it does not know are ignored.
type envelope struct {
	UserID       json.RawMessage `json:"userId"`
	ConnectionID json.RawMessage `json:"connectionId"`
	Data         json.RawMessage `json:"data"`
	ID           json.RawMessage `json:"id"`
	Time         json.RawMessage `json:"time"`
}

// message is one notice and whom it is for: a user or a connection.
type message struct {
	to     string
	user   string // whose connection it is, "" if the message does not say
	notice wire.Notice
}

// outgoing is a message of the queue NotifyConnection as it is written here.
type outgoing struct {
	ConnectionID string          `json:"connectionId"`
	UserID       string          `json:"userId"`
	Data         json.RawMessage `json:"data"`
	ID           string          `json:"id"`
	Time         int64           `json:"time"`
}

// errMalformed is wrapped by what is wrong with a message. None of it is quoted: it is
// somebody's data.
var errMalformed = errors.New("malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errMalformed}, args...)...)
}

// readUser reads {"userId", "data"}, and readConnection {"connectionId", "data"}. Both
// may have an id and a time; the queue's own stand in, which are the same each time
// that the message comes.
func readUser(item *event.Item) (message, error) {
	return read(item, "userId", func(e *envelope) json.RawMessage { return e.UserID })
}

func readConnection(item *event.Item) (message, error) {
	m, err := read(item, "connectionId", func(e *envelope) json.RawMessage { return e.ConnectionID })
	// There is more than connections in the table that they are looked up in.
	if err == nil && !event.IsConnectionID(m.to) {
		err = malformed("connectionId is none that API Gateway gives")
	}
	return m, err
}

func read(item *event.Item, address string, of func(*envelope) json.RawMessage) (message, error) {
	var e envelope
	if json.Unmarshal([]byte(item.Body), &e) != nil {
		return message{}, malformed(`it is no JSON object: write {%q:"…","data":…}`, address)
	}
	to, err := word(of(&e), address, maxAddress, "")
	if err != nil {
		return message{}, err
	}
	if to == "" {
		return message{}, malformed("%s is missing", address)
	}
	m := message{to: to}
	// Of a connection it is what those write who know: no more than a hint.
	if m.user, err = word(e.UserID, "userId", maxAddress, ""); err != nil {
		m.user = ""
	}
	if m.notice.ID, err = word(e.ID, "id", wire.MaxNoticeID, item.ID); err != nil {
		return message{}, err
	}
	if m.notice.Time, err = moment(e.Time, item.Sent); err != nil {
		return message{}, err
	}
	if len(e.Data) == 0 {
		return message{}, malformed("data is missing")
	}
	var data bytes.Buffer
	_ = json.Compact(&data, e.Data) // has been read as JSON
	if data.Len() > wire.MaxNotice {
		return message{}, malformed("data has %d bytes, of at most %d", data.Len(), wire.MaxNotice)
	}
	m.notice.Data = data.Bytes()
	return m, nil
}

// word reads a text of at most so many bytes, of characters that a queue takes; nothing,
// null and "" are otherwise.
func word(raw json.RawMessage, name string, most int, otherwise string) (string, error) {
	var s string
	if len(raw) > 0 && json.Unmarshal(raw, &s) != nil {
		return "", malformed("%s is no text", name)
	}
	if len(s) > most {
		return "", malformed("%s has %d bytes, of at most %d", name, len(s), most)
	}
	if strings.ContainsFunc(s, foreign) {
		return "", malformed("%s has a character that queues do not take", name)
	}
	if s == "" {
		return otherwise, nil
	}
	return s, nil
}

// foreign reports whether c is none of the characters that SQS takes. Escaped in JSON it
// gets as far as here, and what is sent on would not be taken.
//
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func foreign(c rune) bool {
	return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == '\uFFFE' || c == '\uFFFF'
}

// moment reads milliseconds since 1970; nothing, null and 0 are otherwise.
func moment(raw json.RawMessage, otherwise time.Time) (int64, error) {
	var ms int64
	if len(raw) > 0 && json.Unmarshal(raw, &ms) != nil || ms < 0 {
		return 0, malformed("time is no number of milliseconds since 1970")
	}
	if ms == 0 && !otherwise.IsZero() {
		return otherwise.UnixMilli(), nil
	}
	return ms, nil
}

// forConnection writes the message that brings the notice to one connection. Escaped
// for HTML, data could be six times as long, and more than a queue takes.
func (m *message) forConnection(id string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(outgoing{id, m.user, m.notice.Data, m.notice.ID, m.notice.Time}) // cannot fail: texts, a number and JSON
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
