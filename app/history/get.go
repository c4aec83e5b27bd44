package history

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"culvert/app/exchange"
)

// Get gives a whole exchange, or ErrNotFound.
func (h *History) Get(ctx context.Context, id string) (*exchange.Exchange, error) {
	var x *exchange.Exchange
	err := h.read(ctx, func(conn *sql.Conn) (err error) {
		// One transaction, so that it is not replaced between its parts.
		tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		x, err = get(ctx, tx, id)
		return err
	})
	return x, err
}

func get(ctx context.Context, tx *sql.Tx, id string) (*exchange.Exchange, error) {
	x := &exchange.Exchange{}
	var seq, start int64
	var requestKept, responseKept, messages int
	var requestHeader, responseHeader []byte
	err := tx.QueryRowContext(ctx, `SELECT seq, id, tunnel, target, url, start, duration, waited, open, remote_addr, method, path, host, upgrade,
		status, request_size, request_kept, response_size, response_kept, messages, skipped, err, detail, no_target, replay_of, redacted,
		request_header, request_body, response_header, response_body
		FROM exchanges LEFT JOIN contents USING (seq) WHERE id = ?`, id).Scan(
		&seq, &x.ID, &x.Tunnel, &x.Target, &x.URL, &start, &x.Duration, &x.Waited, &x.Open, &x.RemoteAddr, &x.Method, &x.Path, &x.Host, &x.Upgrade,
		&x.Status, &x.Request.Size, &requestKept, &x.Response.Size, &responseKept, &messages, &x.Skipped, &x.Err, &x.Detail, &x.NoTarget, &x.ReplayOf, &x.Redacted,
		&requestHeader, &x.Request.Body, &responseHeader, &x.Response.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	x.Start = fromMicros(start)
	x.Request.Header, x.Response.Header = decodeHeader(requestHeader), decodeHeader(responseHeader)
	x.Request.Truncated, x.Request.Dropped = requestKept == keptStart, requestKept == keptNothing
	x.Response.Truncated, x.Response.Dropped = responseKept == keptStart, responseKept == keptNothing
	if messages > 0 {
		x.Messages, err = getMessages(ctx, tx, seq)
	}
	return x, err
}

func getMessages(ctx context.Context, tx *sql.Tx, seq int64) ([]exchange.StreamMessage, error) {
	rows, err := tx.QueryContext(ctx, `SELECT time, sender, kind, name, last_id, data, size, truncated FROM messages WHERE exchange = ? ORDER BY n`, seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []exchange.StreamMessage
	for rows.Next() {
		var m exchange.StreamMessage
		var at int64
		if err := rows.Scan(&at, &m.From, &m.Kind, &m.Name, &m.LastID, &m.Data, &m.Size, &m.Truncated); err != nil {
			return nil, err
		}
		m.Time = fromMicros(at)
		all = append(all, m)
	}
	return all, rows.Err()
}

// Stats is what there is.
type Stats struct {
	Exchanges int64
	Bytes     int64     // that the files take on disk, with Broken
	Broken    int64     // bytes of a broken database that was put aside, if there is one
	Oldest    time.Time // zero if there is none
	Dropped   int64     // since Open
}

// Stats counts.
func (h *History) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Dropped: h.Dropped()}
	err := h.read(ctx, func(conn *sql.Conn) error {
		var oldest sql.NullInt64
		if err := conn.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM exchanges), (SELECT min(start) FROM exchanges)`).
			Scan(&s.Exchanges, &oldest); err != nil {
			return err
		}
		if oldest.Valid {
			s.Oldest = fromMicros(oldest.Int64)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if info, err := os.Stat(h.cfg.Path + suffix); err == nil {
				s.Bytes += info.Size()
			}
		}
		kept, _ := keptFiles(h.cfg.Path) // what cannot be seen is not counted
		for _, k := range kept {
			s.Broken += k.size
		}
		s.Bytes += s.Broken
		return nil
	})
	return s, err
}
