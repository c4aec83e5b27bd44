package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	// watchEvery is how often a file is looked at, at most.
	watchEvery = time.Second
	// settled is how old a change must be to be told from the next one by its time:
	// some file systems count in seconds.
	settled = 2 * time.Second
)

// watched is a small file that is read again when it changes. Its user locks it.
type watched struct {
	path string
	max  int64
	// parse takes the text, or refuses it and keeps what it had.
	parse func(text []byte) error

	looked time.Time
	info   fs.FileInfo       // of what was read last; nil: read it again whatever it looks like
	sum    [sha256.Size]byte // of its text
	err    error             // what is wrong with the file
}

// look has the text parsed if it is new. It gives what is wrong with the file only when
// that is news, and says whether all is well again.
func (w *watched) look() (news error, mended bool) {
	now := time.Now()
	if d := now.Sub(w.looked); d >= 0 && d < watchEvery {
		return nil, false
	}
	w.looked = now
	before := w.err
	w.err = w.read(now)
	switch {
	case w.err == nil:
		return nil, before != nil
	case before == nil || before.Error() != w.err.Error():
		return w.err, false
	}
	return nil, false
}

// read gives what is wrong with the file as it is now.
func (w *watched) read(now time.Time) error {
	info, err := os.Stat(w.path) // before it is opened: opening a pipe may last for ever
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", w.path)
	}
	if err != nil {
		w.info, w.sum = nil, [sha256.Size]byte{}
		return err
	}
	if w.info != nil && os.SameFile(w.info, info) && info.Size() == w.info.Size() && info.ModTime().Equal(w.info.ModTime()) {
		return w.err
	}
	text, err := readBounded(w.path, w.max)
	if err != nil {
		w.info, w.sum = nil, [sha256.Size]byte{}
		return err
	}
	if w.info = info; now.Sub(info.ModTime()) < settled {
		w.info = nil
	}
	sum := sha256.Sum256(text)
	if sum == w.sum {
		return w.err
	}
	w.sum = sum
	if err := w.parse(text); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return nil
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = errors.New("longer than " + kilobytes(most))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

func kilobytes(n int64) string { return fmt.Sprintf("%d KB", n>>10) }
