package share

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"culvert/app/exchange"
)

const (
	maxArchive  = 64 << 20
	maxEntries  = 20_000
	maxFields   = 500      // of one header
	maxField    = 64 << 10 // bytes of a name, a value, a path
	maxMessages = 1000     // of one stream
	maxData     = 64 << 10 // bytes of one message
)

// bounds are those of an archive: its bytes, those of one entry, and the fields and
// messages of all entries.
type bounds struct {
	archive, entry int64
	parts          int
}

// Errors of ReadHAR.
var (
	ErrNotHAR   = errors.New("this is no HTTP archive (HAR): choose a file that a browser or Culvert has exported")
	ErrTooLarge = fmt.Errorf("the archive is larger than %d MB , has more than %d requests, or too much in one of them: export fewer requests", maxArchive>>20, maxEntries)
)

// ReadHAR reads an HTTP archive, such as browsers export. With an error comes what
// had been read until then. The exchanges have no ID.
func ReadHAR(r io.Reader) ([]*exchange.Exchange, error) {
	return readHAR(r, bounds{archive: maxArchive, entry: maxArchive / 2, parts: 1_000_000})
}

func readHAR(r io.Reader, most bounds) ([]*exchange.Exchange, error) {
	source := &bounded{r, most.archive, most.entry}
	in := bufio.NewReader(source)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		in.Discard(3)
	}
	d := json.NewDecoder(in)
	if err := into(d, "log", '{'); err != nil {
		return nil, err
	}
	if err := into(d, "entries", '['); err != nil {
		return nil, err
	}
	var exchanges []*exchange.Exchange
	for entries, parts := 0, 0; d.More(); entries++ {
		if entries >= maxEntries || parts > most.parts {
			return exchanges, ErrTooLarge
		}
		source.entry = most.entry
		var e harEntry
		var wrongType *json.UnmarshalTypeError
		if err := d.Decode(&e); err != nil && !errors.As(err, &wrongType) {
			return exchanges, broken(err)
		}
		if e.Request.Method != "" || e.Request.URL != "" {
			x := exchangeOf(&e)
			exchanges = append(exchanges, x)
			parts += len(fields(x.Request.Header)) + len(fields(x.Response.Header)) + len(x.Messages)
		}
	}
	source.entry = most.entry
	if _, err := d.Token(); err != nil {
		return exchanges, broken(err)
	}
	return exchanges, nil
}

// into goes into the value of an object's field, past all others. The object begins
// with the next token, but for one that it is already in.
func into(d *json.Decoder, field string, open json.Delim) error {
	if field == "log" {
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return notHAR(err)
		}
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return notHAR(err)
		}
		if t == field {
			if t, err := d.Token(); err != nil || t != open {
				return notHAR(err)
			}
			return nil
		}
		var other json.RawMessage
		if err := d.Decode(&other); err != nil {
			return notHAR(err)
		}
	}
	return ErrNotHAR
}

func notHAR(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	if err == nil {
		return ErrNotHAR
	}
	return fmt.Errorf("%w (%w)", ErrNotHAR, err)
}

func broken(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the archive is broken after what was read of it: export it again (%w)", err)
}

// bounded fails beyond a length, of all and of one entry.
type bounded struct {
	io.Reader
	left, entry int64
}

func (b *bounded) Read(p []byte) (int, error) {
	most := min(b.left, b.entry)
	if most <= 0 {
		// One byte more is one too many.
		var one [1]byte
		if n, err := b.Reader.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, ErrTooLarge
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), most)])
	b.left -= int64(n)
	b.entry -= int64(n)
	return n, err
}
