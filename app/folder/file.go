package folder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// sniffed is how much of a file is looked at to see whether it is text.
const sniffed = 512

// maxRanges bounds the parts of a file that one answer has. Each costs a head of its own,
// and thousands fit in a request.
const maxRanges = 16

// serveFile answers with the file that was found: whole, in ranges, or as not modified.
func serveFile(w http.ResponseWriter, r *http.Request, root *os.Root, name string, found fs.FileInfo) error {
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(info, found) { // a link in its place may lead to what is hidden
		return errChanged
	}
	if !info.Mode().IsRegular() {
		return errSpecial
	}
	if ranges := r.Header.Get("Range"); strings.Count(ranges, ",") >= maxRanges {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", info.Size()))
		http.Error(w, fmt.Sprintf("more than %d ranges of a file are not served at once", maxRanges), http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	kind, err := contentType(name, f)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", tag(info))
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

// contentType is what the name says. A file without a known ending is text or bytes, and
// never a page that browsers would run: it may be anything that was put there.
func contentType(name string, f io.ReadSeeker) (string, error) {
	if kind := typeOf(name); kind != "" {
		return kind, nil
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if isText(head[:n]) {
		return "text/plain; charset=utf-8", nil
	}
	return "application/octet-stream", nil
}

// isText reports whether the start of a file is UTF-8 without control characters that
// text does not have.
func isText(head []byte) bool {
	for i := 0; i < utf8.UTFMax && len(head) == sniffed; i++ { // a rune may be cut
		if r, size := utf8.DecodeLastRune(head); r != utf8.RuneError || size > 1 {
			break
		}
		head = head[:len(head)-1]
	}
	return utf8.Valid(head) && bytes.IndexFunc(head, func(r rune) bool {
		return r < ' ' && !strings.ContainsRune("\t\n\f\r\x1b", r)
	}) < 0
}

// typeOf is the media type of a name's ending, or "". The system's own tables differ
// from one machine to the next, and Windows programs write nonsense there.
func typeOf(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js", ".mjs", ".cjs":
		return "text/javascript; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".xml":
		return "text/xml; charset=utf-8"
	case ".xhtml":
		return "application/xhtml+xml"
	case ".txt", ".text", ".log", ".conf", ".ini", ".toml", ".yaml", ".yml":
		return "text/plain; charset=utf-8"
	case ".md", ".markdown":
		return "text/markdown; charset=utf-8"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".ics":
		return "text/calendar; charset=utf-8"
	case ".vtt":
		return "text/vtt; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".apng":
		return "image/apng"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".avif":
		return "image/avif"
	case ".bmp":
		return "image/bmp"
	case ".ico":
		return "image/x-icon"
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	case ".ttf":
		return "font/ttf"
	case ".otf":
		return "font/otf"
	case ".mp4", ".m4v":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".mov":
		return "video/quicktime"
	case ".mp3":
		return "audio/mpeg"
	case ".m4a":
		return "audio/mp4"
	case ".ogg", ".oga":
		return "audio/ogg"
	case ".wav":
		return "audio/wav"
	case ".flac":
		return "audio/flac"
	case ".pdf":
		return "application/pdf"
	case ".wasm":
		return "application/wasm"
	case ".zip":
		return "application/zip"
	case ".gz", ".tgz":
		return "application/gzip"
	case ".tar":
		return "application/x-tar"
	case ".glb":
		return "model/gltf-binary"
	case ".gltf":
		return "model/gltf+json"
	}
	return ""
}
