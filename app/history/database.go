package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// What the head of the file says (https://www.sqlite.org/fileformat2.html, 1.3).
const (
	applicationID = 0x43756c76 // "Culv"
	schemaVersion = 1
)

// schema is form 1. Times are microseconds since 1970, durations nanoseconds; bytes
// is about what an exchange takes. What is long lies in tables of its own, so that
// rows of the log are read fast.
const schema = `
CREATE TABLE exchanges (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	tunnel TEXT, target TEXT, url TEXT,
	start INTEGER, duration INTEGER, waited INTEGER, open INTEGER,
	remote_addr TEXT, method TEXT, path TEXT, host TEXT, upgrade TEXT,
	status INTEGER, content_type TEXT,
	request_size INTEGER, request_kept INTEGER, response_size INTEGER, response_kept INTEGER,
	messages INTEGER, skipped INTEGER,
	err TEXT, detail TEXT, no_target INTEGER, replay_of TEXT, redacted INTEGER,
	bytes INTEGER
) STRICT;
CREATE INDEX exchanges_start ON exchanges (start);
CREATE TABLE contents (
	seq INTEGER PRIMARY KEY REFERENCES exchanges ON DELETE CASCADE,
	request_header BLOB, request_body BLOB, response_header BLOB, response_body BLOB
) STRICT;
CREATE TABLE messages (
	exchange INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE, n INTEGER NOT NULL,
	time INTEGER, sender INTEGER, kind INTEGER, name TEXT, last_id TEXT,
	data BLOB, size INTEGER, truncated INTEGER
) STRICT;
CREATE UNIQUE INDEX messages_exchange ON messages (exchange, n);
`

// busy is how long one process waits for another one's transaction.
const busy = 5 * time.Second

// maxLog is what the log beside the database shrinks to once it was copied over, in
// bytes.
const maxLog = 1 << 20

// errNewer is about a file of a later version of this program: not broken, and not
// to be touched.
var errNewer = errors.New("it was written by a newer version of Culvert: update this one, or move the file away")

// database is an open file.
type database struct {
	path    string
	file    os.FileInfo
	writing *sql.DB
	conn    *sql.Conn // the only one of writing
	reading *sql.DB

	insert, insertContent, deleteMessages, insertMessage *sql.Stmt
}

// check is how well a file is looked at before it is used.
type check bool

const (
	shallow check = false // the head, the schema, the ends of the tables
	deep    check = true  // every page
)

// open opens the file, which is made if need be.
func open(ctx context.Context, path string, how check) (_ *database, err error) {
	if err := private(path); err != nil {
		return nil, err
	}
	db := &database{path: path}
	defer func() {
		if err != nil {
			db.close()
		}
	}()
	if db.writing, err = connect(path, 1); err != nil {
		return nil, err
	}
	if db.conn, err = db.writing.Conn(ctx); err != nil {
		return nil, err
	}
	if err = db.begin(ctx); err != nil {
		return nil, err
	}
	if err = db.look(ctx, how); err != nil {
		return nil, err
	}
	if db.reading, err = connect(path, 3, "query_only(ON)", "temp_store(MEMORY)"); err != nil {
		return nil, err
	}
	if err = db.prepare(ctx); err != nil {
		return nil, err
	}
	db.file, err = os.Stat(path)
	return db, err
}

// private makes the file, and makes sure that nobody else may read it, or what
// SQLite puts beside it with the same permissions. It does not open a file that is
// there: closing it would end the locks that this process has on it.
// https://www.sqlite.org/howtocorrupt.html, 2.2
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // the folder's access list holds
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(path+suffix, 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// connect gives connections to the file that run the pragmas first.
func connect(path string, most int, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds())}}
	for _, p := range pragmas {
		query.Add("_pragma", p)
	}
	// https://www.sqlite.org/uri.html: a drive letter comes after a slash.
	name := filepath.ToSlash(path)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	uri := url.URL{Scheme: "file", Path: name, RawQuery: query.Encode()}
	connector, err := sqlite.NewConnector(uri.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(1)
	return db, nil
}

// pragmas are for the connection that writes. The order counts: auto_vacuum can
// only be chosen before the first page is written.
var pragmas = fmt.Sprintf(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
	PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = %d`, maxLog)

// begin finds out whose file it is before anything is changed, and fills an empty one.
func (db *database) begin(ctx context.Context) error {
	var id, version, tables int64
	err := db.conn.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&id, &version, &tables)
	empty := tables == 0 && version == 0
	switch {
	case err != nil:
		return err
	case !empty && (id != applicationID || version < 1):
		return errForeign
	case version > schemaVersion:
		return errNewer
	}
	if _, err := db.conn.ExecContext(ctx, pragmas); err != nil || !empty {
		return err
	}
	return db.transaction(ctx, func() error {
		_, err := db.conn.ExecContext(ctx, schema+
			fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, schemaVersion))
		return err
	})
}

// look finds out whether the file is whole.
func (db *database) look(ctx context.Context, how check) error {
	if how == deep {
		var result string
		if err := db.conn.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&result); err != nil {
			return err
		}
		if result != "ok" {
			return fmt.Errorf("%w: %s", errDamaged, result)
		}
		return nil
	}
	for _, end := range []string{"min", "max"} {
		var n sql.NullInt64
		err := db.conn.QueryRowContext(ctx, `SELECT sum(length(err) + coalesce(length(request_header), 0)) FROM exchanges LEFT JOIN contents USING (seq)
			WHERE seq = (SELECT `+end+`(seq) FROM exchanges)`).Scan(&n)
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare parses the statements of the writer, which also shows that the tables
// are what they ought to be.
func (db *database) prepare(ctx context.Context) (err error) {
	for _, s := range []struct {
		text string
		into **sql.Stmt
	}{
		{insertExchange, &db.insert}, {insertContent, &db.insertContent},
		{deleteMessages, &db.deleteMessages}, {insertMessage, &db.insertMessage},
	} {
		if *s.into, err = db.conn.PrepareContext(ctx, s.text); err != nil {
			return err
		}
	}
	return nil
}

// transaction runs f between BEGIN and COMMIT. Others may read meanwhile, and wait
// if they want to write.
func (db *database) transaction(ctx context.Context, f func() error) error {
	if _, err := db.conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = db.conn.ExecContext(ctx, `COMMIT`)
	}
	if err != nil {
		// The context may have ended; and the transaction, with some errors.
		_, _ = db.conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	}
	return err
}

// inPlace reports whether the open file is still the one with its name.
func (db *database) inPlace() bool {
	info, err := os.Stat(db.path)
	return err == nil && os.SameFile(info, db.file)
}

// close closes what is open. Whoever is last copies the log into the database.
func (db *database) close() {
	if db.reading != nil {
		_ = db.reading.Close()
	}
	for _, s := range []*sql.Stmt{db.insert, db.insertContent, db.deleteMessages, db.insertMessage} {
		if s != nil {
			_ = s.Close()
		}
	}
	if db.conn != nil {
		_ = db.conn.Close()
	}
	if db.writing != nil {
		_ = db.writing.Close()
	}
}
