package folder

import (
	"bytes"
	"cmp"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxEntries bounds the files that one page lists.
	maxEntries = 2000
	// maxLists is how many pages are made at once; others wait.
	maxLists = 4
)

//go:embed list.html
var listPage string

var listTemplate = template.Must(template.New("list").Parse(listPage))

// list is what list.html shows.
type list struct {
	Nonce   string
	Path    string // of the folder, as visitors see it
	Nested  bool   // there is a folder above
	Entries []entry
	Hidden  int  // names that begin with a dot
	More    bool // than maxEntries
}

// entry is one line of it.
type entry struct {
	Name   string
	Link   string // relative, escaped
	Folder bool
	Size   string
	Time   string // UTC
}

// serveList answers with what is in the folder that was found.
func serveList(w http.ResponseWriter, t *tree, name, urlPath string, found fs.FileInfo) error {
	l, err := t.list(name, urlPath, found)
	if err != nil {
		return err
	}
	l.Nonce = rand.Text()
	var b bytes.Buffer
	if err := listTemplate.Execute(&b, l); err != nil {
		return fmt.Errorf("folder: the page of a list: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+l.Nonce+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(b.Bytes()) // a visitor who has left needs no list
	return nil
}

// list reads a folder. What cannot be served is not in it. The way to the folder is gone
// once, and not for every name in it.
func (t *tree) list(name, urlPath string, found fs.FileInfo) (*list, error) {
	here, err := t.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer here.Close()
	f, err := here.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !os.SameFile(info, found) {
		return nil, errChanged
	}
	l := &list{Path: "/" + strings.Join(split(urlPath), "/"), Nested: len(split(urlPath)) > 0}
	names, err := f.Readdirnames(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if l.More = len(names) > maxEntries; l.More {
		names = names[:maxEntries]
	}
	for _, child := range names {
		if hidden(child) {
			l.Hidden++
			continue
		}
		info, err := here.Lstat(child)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			_, info, err = t.walk(name, found, []string{child})
		}
		if err != nil || allowed(child) != nil || servable(info) != nil {
			continue // a link that leads out, a socket, or gone meanwhile
		}
		l.Entries = append(l.Entries, newEntry(child, info))
	}
	slices.SortFunc(l.Entries, func(a, b entry) int {
		if a.Folder != b.Folder {
			if a.Folder {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return l, nil
}

func newEntry(name string, info fs.FileInfo) entry {
	e := entry{Name: name, Link: "./" + url.PathEscape(name), Folder: info.IsDir(), Time: info.ModTime().UTC().Format(time.DateTime)}
	if e.Folder {
		e.Link += "/"
	} else {
		e.Size = size(info.Size())
	}
	return e
}

// size is a length for people.
func size(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %cB", value, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", value, units[unit])
}
