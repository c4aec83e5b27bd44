package folder

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// write makes a file with the folders above it.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("symbolic links need a privilege here:", err)
		}
		t.Fatal(err)
	}
}

// site is a folder beside a secret.
func site(t testing.TB) string {
	t.Helper()
	base := t.TempDir()
	write(t, filepath.Join(base, "secret.txt"), "secret")
	write(t, filepath.Join(base, "site-secret", "secret.txt"), "secret") // a name that begins as the folder's
	dir := filepath.Join(base, "site")
	write(t, filepath.Join(dir, "index.html"), "<h1>home</h1>")
	write(t, filepath.Join(dir, "app.js"), "run()")
	write(t, filepath.Join(dir, "docs", "a b.txt"), "text")
	write(t, filepath.Join(dir, "docs", "page.bin"), "<html><script>alert(1)</script>")
	write(t, filepath.Join(dir, "docs", "bytes.bin"), "\x00\x01\x02")
	write(t, filepath.Join(dir, ".env"), "secret")
	write(t, filepath.Join(dir, ".git", "config"), "secret")
	write(t, filepath.Join(dir, ".well-known", "x"), "known")
	return dir
}

// ask sends a request-target as it is, without the client's tidying.
func ask(h http.Handler, method, target string, header ...string) *http.Response {
	path, query, _ := strings.Cut(target, "?")
	r := httptest.NewRequest(method, "/", nil)
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	r.URL = &url.URL{Path: decoded, RawPath: path, RawQuery: query}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServe(t *testing.T) {
	t.Parallel()
	h := NewHandler(site(t), nil)
	tests := []struct {
		target      string
		status      int
		kind, holds string
	}{
		{"/", 200, "text/html; charset=utf-8", "home"},
		{"/index.html", 200, "text/html; charset=utf-8", "home"},
		{"//index.html", 200, "text/html; charset=utf-8", "home"},
		{"/app.js?v=1", 200, "text/javascript; charset=utf-8", "run()"},
		{"/docs/a%20b.txt", 200, "text/plain; charset=utf-8", "text"},
		{"/docs/page.bin", 200, "text/plain; charset=utf-8", "<script>"},
		{"/docs/bytes.bin", 200, "application/octet-stream", "\x00"},
		{"/.well-known/x", 200, "text/plain; charset=utf-8", "known"},
		{"/docs/", 200, "text/html; charset=utf-8", "a b.txt"},
		{"/app.js/", 404, "text/plain; charset=utf-8", "no such file"},
		{"/app.js/x", 404, "text/plain; charset=utf-8", "no such file"},
		{"/none", 404, "text/plain; charset=utf-8", "no such file"},
		{"/" + strings.Repeat("a", 300), 404, "text/plain; charset=utf-8", "no such file"},
		{"/" + strings.Repeat("a/", 3000), 404, "text/plain; charset=utf-8", "no such file"},
		{"/a%00b", 404, "text/plain; charset=utf-8", "no such file"},
		{"/.env", 404, "text/plain; charset=utf-8", "begin with a dot"},
		{"/.none", 404, "text/plain; charset=utf-8", "begin with a dot"},
	}
	for _, tt := range tests {
		r := ask(h, "GET", tt.target)
		text := body(t, r)
		if r.StatusCode != tt.status || r.Header.Get("Content-Type") != tt.kind || !strings.Contains(text, tt.holds) {
			t.Errorf("%.40s: %d %q %q", tt.target, r.StatusCode, r.Header.Get("Content-Type"), text)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%.40s: header %v", tt.target, r.Header)
		}
	}
}

// TestNothingEscapes tries every way out that is known of others.
func TestNothingEscapes(t *testing.T) {
	t.Parallel()
	dir := site(t)
	link(t, filepath.Join("..", "secret.txt"), filepath.Join(dir, "out.txt"))
	link(t, filepath.Join(filepath.Dir(dir), "secret.txt"), filepath.Join(dir, "absolute.txt"))
	link(t, "..", filepath.Join(dir, "up"))
	link(t, ".env", filepath.Join(dir, "env.txt"))
	link(t, ".git", filepath.Join(dir, "repository"))
	link(t, filepath.Join("docs", "..", ".git"), filepath.Join(dir, "winding"))
	link(t, filepath.Join("docs", "..", "..", "site", "..", "secret.txt"), filepath.Join(dir, "zigzag"))
	link(t, "repository", filepath.Join(dir, "docs", "deep"))
	link(t, "loop", filepath.Join(dir, "loop"))
	h := NewHandler(dir, nil)
	for _, target := range []string{
		"/../secret.txt", "/../../secret.txt", "/docs/../../secret.txt", "/..", "/docs/..", "/%2e%2e/secret.txt",
		"/..%2fsecret.txt", "/.%2e/secret.txt", "/..\\secret.txt", "/docs/..%5c..%5csecret.txt", "/../site-secret/secret.txt",
		"//../secret.txt", "/./../secret.txt", "/...//secret.txt", "/%00/../secret.txt", "/..;/secret.txt",
		"/out.txt", "/absolute.txt", "/up/secret.txt", "/up/", "/up", "/up/site/.env", "/up/site/index.html", "/zigzag",
		"/.env", "/.git/config", "/.git/", "/.git", "/docs/../.env", "/./.env", "//.env", "/%2eenv", "/.well-known/../.env",
		"/env.txt", "/repository/config", "/repository/", "/winding/config", "/docs/deep/config", "/loop", "/loop/x",
		"/\u200c.git/config", "/\ufeff.env", "/docs/.", "/.env::$DATA", "/GIT~1/config", "/.env%20", "/.env.",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := ask(h, method, target)
			text := body(t, r)
			if strings.Contains(text, "secret") && !strings.Contains(text, "docs") {
				t.Errorf("%s %s: %d %q", method, target, r.StatusCode, text)
			}
			if r.StatusCode == http.StatusOK && target != "/docs/." {
				t.Errorf("%s %s: %d", method, target, r.StatusCode)
			}
		}
	}
	for target, says := range map[string]string{"/out.txt": "leads out", "/up/": "leads out", "/env.txt": "with a dot", "/docs/../.env": "with a dot"} {
		if text := body(t, ask(h, "GET", target)); !strings.Contains(text, says) {
			t.Errorf("%s says %q", target, text)
		}
	}
}

// TestLinksWithin follows what stays in the folder.
func TestLinksWithin(t *testing.T) {
	t.Parallel()
	dir := site(t)
	link(t, filepath.Join("docs", "a b.txt"), filepath.Join(dir, "short"))
	link(t, filepath.Join("..", "app.js"), filepath.Join(dir, "docs", "app.js"))
	link(t, filepath.Join(dir, "docs"), filepath.Join(dir, "whole"))
	link(t, "whole", filepath.Join(dir, "again"))
	h := NewHandler(dir, nil)
	for target, want := range map[string]string{"/short": "text", "/docs/app.js": "run()", "/whole/a%20b.txt": "text", "/again/app.js": "run()"} {
		if r := ask(h, "GET", target); r.StatusCode != 200 || body(t, r) != want {
			t.Errorf("%s: %d", target, r.StatusCode)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := NewHandler(site(t), nil)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "TRACE"} {
		r := ask(h, method, "/index.html")
		if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" || strings.Contains(body(t, r), "home") {
			t.Errorf("%s: %d %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	if r := ask(h, "HEAD", "/app.js"); r.StatusCode != 200 || r.Header.Get("Content-Length") != "5" || body(t, r) != "" {
		t.Errorf("HEAD: %d %v", r.StatusCode, r.Header)
	}
}

func TestConditionsAndRanges(t *testing.T) {
	t.Parallel()
	dir := site(t)
	h := NewHandler(dir, nil)
	r := ask(h, "GET", "/app.js")
	etag, modified := r.Header.Get("ETag"), r.Header.Get("Last-Modified")
	if etag == "" || modified == "" {
		t.Fatalf("header %v", r.Header)
	}
	for _, tt := range []struct {
		name, value string
		status      int
		body        string
	}{
		{"If-None-Match", etag, 304, ""},
		{"If-None-Match", `"other"`, 200, "run()"},
		{"If-Modified-Since", modified, 304, ""},
		{"Range", "bytes=1-2", 206, "un"},
		{"Range", "bytes=-2", 206, "()"},
		{"Range", "bytes=9-", 416, ""},
	} {
		r := ask(h, "GET", "/app.js", tt.name, tt.value)
		if text := body(t, r); r.StatusCode != tt.status || tt.body != "" && text != tt.body {
			t.Errorf("%s: %s gives %d %q", tt.name, tt.value, r.StatusCode, text)
		}
	}
	write(t, filepath.Join(dir, "app.js"), "walk()")
	if r := ask(h, "GET", "/app.js", "If-None-Match", etag); r.StatusCode != 200 {
		t.Errorf("a changed file is %d", r.StatusCode)
	}
}

func TestRedirectIsRelative(t *testing.T) {
	t.Parallel()
	dir := site(t)
	write(t, filepath.Join(dir, "evil.example", "x"), "")
	h := NewHandler(dir, nil)
	for target, want := range map[string]string{
		"/docs": "./docs/", "/docs?a=%20b": "./docs/?a=%20b", "//evil.example": "./evil.example/", "/docs/..%2Fdocs": "",
	} {
		r := ask(h, "GET", target)
		if got := r.Header.Get("Location"); got != want || want != "" && r.StatusCode != http.StatusFound {
			t.Errorf("%s: %d to %q, want %q", target, r.StatusCode, got, want)
		}
	}
}

// TestList escapes names, and leaves out what is not served.
func TestList(t *testing.T) {
	t.Parallel()
	dir := site(t)
	hostile := `"><script>alert(1)</script>&lt;.txt`
	if runtime.GOOS == "windows" {
		hostile = `'&amp;#%25.txt`
	}
	write(t, filepath.Join(dir, "docs", hostile), "")
	write(t, filepath.Join(dir, "docs", "java:script", "x"), "")
	write(t, filepath.Join(dir, "docs", "ünï.txt"), strings.Repeat("x", 1234))
	write(t, filepath.Join(dir, "docs", ".hidden"), "")
	link(t, filepath.Join("..", "..", "secret.txt"), filepath.Join(dir, "docs", "leading-out"))
	r := ask(NewHandler(dir, nil), "GET", "/docs/")
	page := body(t, r)
	for _, want := range []string{
		`<bdi>/docs</bdi>`, `href="../"`, `href="./a%20b.txt"`, `href="./java:script/"`, "1.2 kB", "Not served: 1 name that begins",
		`href="./` + url.PathEscape("ünï.txt") + `"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	for _, bad := range []string{"<script>", ".hidden", "leading-out", "secret"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is in\n%s", bad, page)
		}
	}
	policy := r.Header.Get("Content-Security-Policy")
	_, nonce, _ := strings.Cut(policy, "'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || nonce == "" || !strings.Contains(page, `nonce="`+nonce+`"`) {
		t.Errorf("policy %q", policy)
	}
	if again := ask(NewHandler(dir, nil), "GET", "/docs/"); again.Header.Get("Content-Security-Policy") == policy {
		t.Error("the nonce is used twice")
	}
	if root := body(t, ask(NewHandler(filepath.Join(dir, "docs"), nil), "GET", "/")); strings.Contains(root, `"../"`) {
		t.Error("the root leads up")
	}
}

// TestListIsBounded says when it leaves files out.
func TestListIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range maxEntries + 5 {
		write(t, filepath.Join(dir, fmt.Sprintf("f%05d", i)), "")
	}
	page := body(t, ask(NewHandler(dir, nil), "GET", "/"))
	if n := strings.Count(page, "<bdi>f"); n != maxEntries || !strings.Contains(page, "more files than this page can list") {
		t.Errorf("%d entries", n)
	}
}

// TestFolderComesAndGoes as build tools have it.
func TestFolderComesAndGoes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dist")
	h := NewHandler(dir, nil)
	for range 2 {
		r := ask(h, "GET", "/")
		text := body(t, r)
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(text, "put it back") || strings.Contains(text, "dist") {
			t.Errorf("without the folder: %d %q", r.StatusCode, text)
		}
		if h.Check() == nil {
			t.Error("a missing folder is fine")
		}
		write(t, filepath.Join(dir, "index.html"), "new")
		if r := ask(h, "GET", "/"); r.StatusCode != 200 || body(t, r) != "new" || h.Check() != nil {
			t.Errorf("with the folder: %d", r.StatusCode)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "a file")
	if r := ask(h, "GET", "/"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a file in its place: %d", r.StatusCode)
	}
}

// FuzzFind wants nothing but files of the folder found, whatever is asked for.
func FuzzFind(f *testing.F) {
	dir := site(f)
	if err := os.Symlink("..", filepath.Join(dir, "up")); err != nil {
		f.Skip(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { root.Close() })
	for _, s := range []string{"/", "/docs/a b.txt", "/../x", "/up/secret.txt", "/.git", "//docs//", "/docs/../..", "\x00"} {
		f.Add(s)
	}
	served := map[string]bool{".": true, "index.html": true, "app.js": true, "docs": true, "docs/a b.txt": true,
		"docs/page.bin": true, "docs/bytes.bin": true, ".well-known": true, ".well-known/x": true}
	f.Fuzz(func(t *testing.T, path string) {
		name, info, err := (&tree{root, dir}).find(path)
		if err != nil {
			return
		}
		if runtime.GOOS != "linux" {
			name = strings.ToLower(name) // file systems that think so, too
		}
		if !served[name] || !info.IsDir() && !info.Mode().IsRegular() {
			t.Fatalf("%q finds %q", path, name)
		}
	})
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9960: "10 kB", 999_400: "999 kB", 999_600: "1.0 MB", 1 << 62: "4.6 EB"} {
		if got := size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestPlainOnWindows(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a.txt": true, "my~notes.txt": true, "a~1 long name of a file.txt": true, "GIT~1": false, "a:b": false,
		"a::$DATA": false, `a\b`: false, "a.": false, "a ": false, "a*": false,
	} {
		if got := plainOnWindows(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestIsText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", sniffed-1)
	for text, want := range map[string]bool{
		"": true, "plain\n": true, "\x1b[1mcolour": true, "a\x00b": false, "\xff\xfe": false, long + "é"[:1]: true, long[:10] + "\xc3": false,
	} {
		if got := isText([]byte(text)); got != want {
			t.Errorf("%.20q: %v", text, got)
		}
	}
}

// changed is a FileInfo as far as tag needs it.
type changed struct {
	fs.FileInfo
	at   time.Time
	size int64
}

func (c changed) ModTime() time.Time { return c.at }
func (c changed) Size() int64        { return c.size }

func TestTag(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 2)
	a := tag(changed{at: at, size: 1})
	if a == tag(changed{at: at.Add(1), size: 1}) || a == tag(changed{at: at, size: 2}) || a != tag(changed{at: at, size: 1}) {
		t.Error("tags are wrong")
	}
}
