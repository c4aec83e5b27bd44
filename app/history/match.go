package history

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"strconv"
	"strings"

	"culvert/app/coding"
	"culvert/app/plain"
)

// The bounds of a text that is searched for, and of a body behind its codings.
const (
	maxWords   = 16
	maxDecoded = 1 << 20
)

// words are what is searched for, in lower case.
func words(text string) []string {
	all := strings.Fields(string(lower([]byte(text[:min(len(text), maxText)]))))
	return all[:min(len(all), maxWords)]
}

// contents are the parts of an exchange that its row does not show. They belong to
// the database until the next row is read.
type contents struct {
	requestHeader, requestBody, responseHeader, responseBody sql.RawBytes
}

// fits reports whether every word occurs somewhere. What is dear to look at comes last.
func (s *search) fits(ctx context.Context, conn *sql.Conn, row *Summary, c *contents, deep bool) (bool, error) {
	status := strconv.Itoa(row.Status)
	left := without(s.words, func(w string) bool { return strings.HasPrefix(status, w) })
	for _, text := range []string{row.Path, row.Method, row.RemoteAddr, row.Err, row.Detail, row.Tunnel, row.Host, row.ID} {
		left = missing(left, []byte(text))
	}
	if len(left) == 0 || !deep {
		return len(left) == 0, nil
	}
	for _, message := range [][2][]byte{{c.requestHeader, c.requestBody}, {c.responseHeader, c.responseBody}} {
		left = missing(left, message[0])
		left = missing(left, message[1])
		if len(left) > 0 {
			left = missing(left, decoded(message[0], message[1]))
		}
	}
	if len(left) == 0 || row.Messages == 0 {
		return len(left) == 0, nil
	}
	rows, err := conn.QueryContext(ctx, `SELECT name, data FROM messages WHERE exchange = ?`, row.Seq)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for len(left) > 0 && rows.Next() {
		var name, data sql.RawBytes
		if err := rows.Scan(&name, &data); err != nil {
			return false, err
		}
		left = missing(missing(left, name), data)
	}
	return len(left) == 0, rows.Err()
}

// missing gives the words that do not occur in text.
func missing(words []string, text []byte) []string {
	return without(words, func(w string) bool { return plain.ContainsFold(text, w) })
}

// without gives the words that have does not say yes to. The given ones stay as they are.
func without(words []string, has func(string) bool) []string {
	for i, w := range words {
		if !has(w) {
			continue
		}
		left := append(make([]string, 0, len(words)-1), words[:i]...)
		for _, w := range words[i+1:] {
			if !has(w) {
				left = append(left, w)
			}
		}
		return left
	}
	return words
}

// decoded is a body behind its content codings, as far as it goes; nil without any.
func decoded(header, body []byte) []byte {
	if len(body) == 0 || !plain.ContainsFold(header, "content-encoding: ") {
		return nil
	}
	codings := coding.Of(decodeHeader(header))
	if len(codings) == 0 {
		return nil
	}
	r, err := coding.NewReader(codings, bytes.NewReader(body))
	if err != nil {
		return nil
	}
	defer r.Close()
	text, _ := io.ReadAll(io.LimitReader(r, maxDecoded)) // a start is better than nothing
	return text
}

func lower(text []byte) []byte {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
	return text
}
