package history

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"

	"culvert/app/exchange"
)

// An exchange that comes again, which shows by its ID and its time, takes its own
// place, but not one that still went on the place of its end. If only the ID is the
// same it is another one. In both of these cases no row comes back.
const insertExchange = `
INSERT INTO exchanges (id, tunnel, target, url, start, duration, waited, open, remote_addr, method, path, host, upgrade,
	status, content_type, request_size, request_kept, response_size, response_kept, messages, skipped,
	err, detail, no_target, replay_of, redacted, bytes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
	tunnel = excluded.tunnel, target = excluded.target, url = excluded.url,
	duration = excluded.duration, waited = excluded.waited, open = excluded.open,
	remote_addr = excluded.remote_addr, method = excluded.method, path = excluded.path, host = excluded.host, upgrade = excluded.upgrade,
	status = excluded.status, content_type = excluded.content_type,
	request_size = excluded.request_size, request_kept = excluded.request_kept,
	response_size = excluded.response_size, response_kept = excluded.response_kept,
	messages = excluded.messages, skipped = excluded.skipped, err = excluded.err, detail = excluded.detail,
	no_target = excluded.no_target, replay_of = excluded.replay_of, redacted = excluded.redacted, bytes = excluded.bytes
WHERE start = excluded.start AND (open OR NOT excluded.open)
RETURNING seq`

const (
	insertContent  = `INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?)`
	deleteMessages = `DELETE FROM messages WHERE exchange = ?`
	insertMessage  = `INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// store writes all of them, or none.
func (db *database) store(ctx context.Context, batch []*exchange.Exchange) error {
	return db.transaction(ctx, func() error {
		for _, x := range batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := db.storeOne(x); err != nil {
				return err
			}
		}
		return nil
	})
}

// storeOne needs a transaction. No context: the driver starts a goroutine for each
// statement that has one, and these are short.
func (db *database) storeOne(x *exchange.Exchange) error {
	ctx := context.Background()
	id := x.ID
	if id == "" {
		id = newID()
	}
	var seq int64
	insert := func() error {
		return db.insert.QueryRowContext(ctx, id, x.Tunnel, x.Target, x.URL,
			x.Start.UnixMicro(), int64(x.Duration), int64(x.Waited), x.Open,
			x.RemoteAddr, x.Method, x.Path, x.Host, x.Upgrade, x.Status, x.Response.Header.Get("Content-Type"),
			x.Request.Size, kept(&x.Request), x.Response.Size, kept(&x.Response), len(x.Messages), x.Skipped,
			x.Err, x.Detail, x.NoTarget, x.ReplayOf, x.Redacted, exchange.Weight(x)).Scan(&seq)
	}
	err := insert()
	if errors.Is(err, sql.ErrNoRows) {
		var over bool
		err = db.conn.QueryRowContext(ctx, `SELECT count(*) > 0 FROM exchanges WHERE id = ? AND start = ?`, id, x.Start.UnixMicro()).Scan(&over)
		if over || err != nil {
			return err
		}
		id = newID()
		err = insert()
	}
	if err != nil {
		return err
	}
	if _, err := db.insertContent.ExecContext(ctx, seq, encodeHeader(x.Request.Header), x.Request.Body,
		encodeHeader(x.Response.Header), x.Response.Body); err != nil {
		return err
	}
	if _, err := db.deleteMessages.ExecContext(ctx, seq); err != nil {
		return err
	}
	for i := range x.Messages {
		m := &x.Messages[i]
		if _, err := db.insertMessage.ExecContext(ctx, seq, i, m.Time.UnixMicro(), int(m.From), int(m.Kind), m.Name, m.LastID,
			m.Data, m.Size, m.Truncated); err != nil {
			return err
		}
	}
	return nil
}

// newID makes a UUID (RFC 9562, 5.4).
func newID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
