package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A broken database that was put aside is called as the history is, and then when that was.
const (
	keptMark = ".broken-"
	keptTime = "20060102T150405.000000000"
)

// keptFile is a broken database, or the log of one.
type keptFile struct {
	path     string
	database string // the path without the suffix of the log
	since    time.Time
	size     int64
}

// keptFiles are those of one history.
func keptFiles(path string) ([]keptFile, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	prefix := filepath.Base(path) + keptMark
	var all []keptFile
	for _, entry := range entries {
		rest, ok := strings.CutPrefix(entry.Name(), prefix)
		if !ok || len(rest) < len(keptTime) {
			continue
		}
		since, err := time.Parse(keptTime, rest[:len(keptTime)])
		if err != nil {
			continue // it is somebody else's
		}
		k := keptFile{path: filepath.Join(filepath.Dir(path), entry.Name()), database: path + keptMark + rest[:len(keptTime)], since: since}
		if info, err := entry.Info(); err == nil {
			k.size = info.Size()
		}
		all = append(all, k)
	}
	return all, nil
}

// removeKept deletes those that are to go. Their size is then that of the database
// and its log together.
func removeKept(path string, gone func(keptFile) bool) error {
	all, err := keptFiles(path)
	together := map[string]int64{}
	for _, k := range all {
		together[k.database] += k.size
	}
	errs := []error{err}
	for _, k := range all {
		k.size = together[k.database]
		if gone(k) {
			if err := os.Remove(k.path); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// trimKept deletes those that are too old, or too large for the history itself.
func trimKept(path string, limits *Limits, now time.Time) error {
	return removeKept(path, func(k keptFile) bool {
		return now.Sub(k.since) > limits.MaxAge || k.size > limits.MaxBytes
	})
}

// keepAside gives the broken database another name, and forgets the ones
// that were put aside before.
func keepAside(path string) (kept string, err error) {
	kept = path + keptMark + time.Now().UTC().Format(keptTime)
	if err := os.Rename(path, kept); err != nil {
		return "", err
	}
	// The log belongs to it, and must not be taken for the new one's. The index of
	// the log is made from it.
	if err := os.Rename(path+"-wal", kept+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return kept, removeKept(path, func(k keptFile) bool { return k.database != kept })
}
