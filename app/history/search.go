package history

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"time"
)

// Query says which exchanges are wanted. The zero value wants all.
type Query struct {
	// Text is words, all of which occur somewhere in the exchange: in its row, its
	// headers, its bodies, its messages. Upper and lower case of ASCII are alike, and
	// bodies are read through their content codings.
	Text string
	// RowsOnly looks for Text only in what a row of the log shows.
	RowsOnly bool
	Tunnel   string // its name for people
	Method   string
	// StatusClass is 1 to 5, as the first digit of the status. Class 5 has those
	// that got no answer at all, too.
	StatusClass int
	MinDuration time.Duration
	// Before asks for what is older than a row: its Seq, or the Next of a Page.
	Before int64
	Limit  int // of the rows of a page: 1 to 1,000; 0 stands for 200
}

// The bounds of a page.
const (
	defaultLimit = 200
	maxLimit     = 1000
)

// chunk is how many exchanges are looked at in one go. Between two of them the log
// beside the database can be copied into it.
const chunk = 500

// Page is a part of what was found, newest first.
type Page struct {
	Rows []Summary
	// Next continues the search, as Query.Before, with what is older; 0 means that
	// there is nothing older. New exchanges do not disturb it.
	Next int64
}

// Summary is a row of the log.
type Summary struct {
	Seq int64  // rises with every exchange that is stored
	ID  string // for Get

	Tunnel, Target string
	Start          time.Time
	Duration       time.Duration
	Waited         time.Duration
	Open           bool // it was still going on when it was stored last
	RemoteAddr     string
	Method         string
	Path           string // raw path and query
	Host           string
	Upgrade        string
	Status         int
	ContentType    string // of the answer
	RequestSize    int64  // bytes of the bodies as they passed
	ResponseSize   int64
	Messages       int // of a stream, those not kept included
	Err, Detail    string
	NoTarget       bool
	ReplayOf       string
	Redacted       bool
}

const summaryColumns = `seq, id, tunnel, target, start, duration, waited, open, remote_addr, method, path, host, upgrade,
	status, content_type, request_size, response_size, messages + skipped, err, detail, no_target, replay_of, redacted`

// fields are where summaryColumns go; start becomes Start later.
func (s *Summary) fields(start *int64) []any {
	return []any{
		&s.Seq, &s.ID, &s.Tunnel, &s.Target, start, &s.Duration, &s.Waited, &s.Open, &s.RemoteAddr, &s.Method, &s.Path, &s.Host, &s.Upgrade,
		&s.Status, &s.ContentType, &s.RequestSize, &s.ResponseSize, &s.Messages, &s.Err, &s.Detail, &s.NoTarget, &s.ReplayOf, &s.Redacted,
	}
}

// Search finds exchanges, newest first. If ctx ends meanwhile, the page has what was
// found so far and continues from there; it is valid beside the context's error.
func (h *History) Search(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Limit = min(q.Limit, maxLimit)
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	s := search{Query: q, words: words(q.Text)}
	for {
		more, err := s.part(ctx, h)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return Page{s.rows, s.Before}, err
		}
		if !more {
			return Page{s.rows, 0}, nil
		}
		if len(s.rows) == s.Limit {
			return Page{s.rows, s.Before}, nil
		}
	}
}

// search is one that is under way. Before of its Query moves towards the past.
type search struct {
	Query
	words []string
	rows  []Summary
}

// part looks at one chunk, and reports whether there is anything older.
func (s *search) part(ctx context.Context, h *History) (more bool, err error) {
	err = h.read(ctx, func(conn *sql.Conn) error {
		more, err = s.scan(ctx, conn)
		return err
	})
	return more, err
}

func (s *search) scan(ctx context.Context, conn *sql.Conn) (more bool, err error) {
	deep := len(s.words) > 0 && !s.RowsOnly
	query, args := s.sql(deep)
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var row Summary
		var start int64
		var c contents
		fields := row.fields(&start)
		if deep {
			fields = append(fields, &c.requestHeader, &c.requestBody, &c.responseHeader, &c.responseBody)
		}
		if err := rows.Scan(fields...); err != nil {
			return false, err
		}
		row.Start = fromMicros(start)
		fits, err := s.fits(ctx, conn, &row, &c, deep)
		if err != nil {
			return false, err
		}
		seen++
		s.Before = row.Seq
		if !fits {
			continue
		}
		if s.rows = append(s.rows, row); len(s.rows) == s.Limit {
			return true, nil
		}
	}
	return seen == chunk, rows.Err()
}

// sql leaves to the database what it can decide by itself.
func (s *search) sql(deep bool) (string, []any) {
	var b strings.Builder
	args := []any{s.Before}
	b.WriteString(`SELECT ` + summaryColumns)
	if deep {
		b.WriteString(`, request_header, request_body, response_header, response_body FROM exchanges LEFT JOIN contents USING (seq)`)
	} else {
		b.WriteString(` FROM exchanges`)
	}
	b.WriteString(` WHERE seq < ?`)
	and := func(condition string, values ...any) {
		b.WriteString(` AND ` + condition)
		args = append(args, values...)
	}
	if s.Tunnel != "" {
		and(`tunnel = ?`, s.Tunnel)
	}
	if s.Method != "" {
		and(`method = ?`, s.Method)
	}
	switch {
	case s.StatusClass == 5:
		and(`(status >= 500 OR status = 0)`)
	case s.StatusClass > 0:
		and(`status >= ? AND status < ?`, s.StatusClass*100, s.StatusClass*100+100)
	}
	if s.MinDuration > 0 {
		and(`duration >= ?`, int64(s.MinDuration))
	}
	b.WriteString(` ORDER BY seq DESC LIMIT ?`)
	return b.String(), append(args, chunk)
}

// read runs f on a connection of its own, while the database stays in place. Who
// finds it broken has the writer look.
func (h *History) read(ctx context.Context, f func(*sql.Conn) error) error {
	err := h.readOnce(ctx, f)
	if isBroken(err) {
		mark(h.suspect)
	}
	if err != nil && h.ctx.Err() != nil {
		return errClosed
	}
	if err != nil && ctx.Err() == nil {
		return explainReading(h.cfg.Path, err)
	}
	return err
}

func (h *History) readOnce(ctx context.Context, f func(*sql.Conn) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.ctx.Err() != nil {
		return errClosed
	}
	if h.db == nil {
		return errUnavailable
	}
	conn, err := h.db.reading.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(conn)
}
