// Package folder serves the files of one folder over HTTP, for looking only, within
// this process: no port is opened that others on this machine could connect to.
//
// Nothing outside the folder can be reached: not by "..", not by a symbolic link, and
// not by changing one for the other while a request is under way, because every look
// goes through an [os.Root]. Files whose name begins with a dot (.git, .env) are not
// served, nor what a link makes of them, and nothing but plain files is opened.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
)

// Handler serves the files of a folder. The folder is looked up anew for every request:
// build tools remove theirs and make another.
type Handler struct {
	path  string
	log   *slog.Logger
	lists chan struct{} // holds one for each list that is being made
}

// NewHandler serves the folder at path, which must be absolute. Nil is no logger.
func NewHandler(path string, log *slog.Logger) *Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Handler{path: path, log: log, lists: make(chan struct{}, maxLists)}
}

// Check says why the folder cannot be served at this moment, or nil.
func (h *Handler) Check() error {
	root, err := h.open()
	if err != nil {
		return err
	}
	return root.Close()
}

func (h *Handler) open() (*os.Root, error) {
	root, err := os.OpenRoot(h.path)
	if err != nil {
		return nil, &UnavailableError{h.path, err}
	}
	return root, nil
}

// UnavailableError says that the folder is not there, or may not be read. Its text is
// for visitors, too, and so it does not say where the folder would be.
type UnavailableError struct {
	Path string
	Err  error
}

func (e *UnavailableError) Error() string {
	if errors.Is(e.Err, fs.ErrPermission) {
		return "the folder that is served here may not be read: change its permissions, or open the tunnel to another one"
	}
	return "the folder that is served here is not there: put it back, or open the tunnel to another one"
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache") // may be kept, if asked about: files are being worked on
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		if r.ContentLength != 0 {
			header.Set("Connection", "close") // or the server waits for a body that nobody wants
		}
		http.Error(w, "this is a folder of files: it can be read by GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	root, err := h.open()
	if err != nil {
		header.Set("Retry-After", "5")
		h.fail(w, r, err)
		return
	}
	defer root.Close()
	t := &tree{root, h.path}
	err = h.serve(w, r, t)
	for tries := 1; errors.Is(err, errChanged) && tries < maxTries; tries++ {
		err = h.serve(w, r, t) // programs replace files that they write
	}
	if err != nil {
		h.fail(w, r, err)
	}
}

// maxTries is how often a file is looked for that changes all the time.
const maxTries = 4

// serve answers with a file, a list of files, or the way to it.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, t *tree) error {
	path := r.URL.Path
	slash := path == "" || strings.HasSuffix(path, "/")
	name, info, err := t.find(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir() && slash:
		return fs.ErrNotExist
	case !info.IsDir():
		return serveFile(w, r, t.root, name, info)
	case !slash:
		redirect(w, r)
		return nil
	}
	index, page, err := t.walk(name, info, []string{"index.html"})
	if err == nil && !page.IsDir() {
		return serveFile(w, r, t.root, index, page)
	}
	select {
	case h.lists <- struct{}{}:
		defer func() { <-h.lists }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	return serveList(w, t, name, path, info)
}

// redirect adds the slash without which links in a folder's page would miss. It is
// relative: where the tunnel's own path begins is not known here.
func redirect(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	to := "./" + path[strings.LastIndexByte(path, '/')+1:] + "/"
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// fail answers with an error, and in one line of text says what it is about.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var unavailable *UnavailableError
	status, text := http.StatusInternalServerError, "this file cannot be read at the moment"
	switch {
	case errors.As(err, &unavailable):
		status, text = http.StatusServiceUnavailable, unavailable.Error()
	case errors.Is(err, errHidden):
		status, text = http.StatusNotFound, "names that begin with a dot are not served from this folder"
	case errors.Is(err, errOutside):
		status, text = http.StatusForbidden, "this is a link that leads out of the folder: it is not followed"
	case errors.Is(err, errSpecial):
		status, text = http.StatusForbidden, "this is no plain file: it is not served"
	case errors.Is(err, fs.ErrPermission):
		status, text = http.StatusForbidden, "this file may not be read by the program that serves the folder"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errChanged), isNoName(err):
		status, text = http.StatusNotFound, "there is no such file in this folder"
	}
	h.log.Debug("no file", "path", r.URL.Path, "status", status, "error", err)
	http.Error(w, text, status)
}

// tag is a validator that changes whenever the file does (RFC 9110, 8.8.3).
func tag(info fs.FileInfo) string {
	return fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size())
}
