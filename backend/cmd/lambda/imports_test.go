package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// allowed are the modules that may be in the function: each adds to its size, and so
// to the time a visitor waits for a cold start.
var allowed = []string{
	"github.com/aws/aws-lambda-go/", "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/internal/",
	// Of the SDK's clients only that of the tables, which has many calls of many forms: see package signed.
	"github.com/aws/aws-sdk-go-v2/service/internal/", "github.com/aws/aws-sdk-go-v2/service/dynamodb",
	"github.com/aws/smithy-go", "github.com/golang-jwt/jwt/v5",
	// Keys of an identity provider, by its JWKS.
	"github.com/MicahParks/jwkset", "golang.org/x/time/rate",
	"github.com/gorilla/websocket",
	"golang.org/x/net/http/httpguts", "golang.org/x/net/idna", "golang.org/x/net/http2/hpack", "golang.org/x/text/",
}

// none of ours but these: no relay, no window, no stand-in for AWS.
var ours = []string{
	"culvert/backend/action", "culvert/backend/auth", "culvert/backend/cmd/lambda", "culvert/backend/lambda/", "culvert/backend/pathform",
	"culvert/backend/tunnel", "culvert/backend/visitor", "culvert/backend/wire",
}

func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-tags", "lambda.norpc", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 20 {
		t.Fatalf("%s", out)
	}
	for _, path := range packages {
		list := allowed
		if strings.HasPrefix(path, "culvert/") {
			list = ours
		}
		if !hasPrefix(path, list) {
			t.Errorf("%s is in the function: do without it, or allow it here and say why", path)
		}
	}
}

func TestNoRPC(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-tags", "lambda.norpc", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range strings.Fields(string(out)) {
		switch path {
		case "net/rpc", "testing", "net/http/httptest", "os/exec", "html/template", "text/template", "plugin":
			t.Errorf("%s is in the function", path)
		}
	}
}

func hasPrefix(path string, list []string) bool {
	for _, prefix := range list {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// maxSize bounds the stripped program: some room above what it has.
const maxSize = 10 << 20

func TestSize(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds for another processor")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		path := filepath.Join(t.TempDir(), "bootstrap")
		if err := build(path, "GOOS=linux", "GOARCH="+arch); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("bootstrap for %s: %.1f MB", arch, float64(info.Size())/(1<<20))
		if info.Size() > maxSize {
			t.Errorf("bootstrap for %s has %d bytes, and should have at most %d: see what `go tool nm -size -sort size` names", arch, info.Size(), maxSize)
		}
	}
}

// The linker leaves out methods that nobody calls, but only if none is looked up by a
// name that it cannot know (reflect.Value.MethodByName and the like): one such call,
// anywhere, and all methods of all types stay.
func TestUnusedMethodsAreLeftOut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("links the program once more")
	}
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-ldflags", "-dumpdep", "-o", filepath.Join(t.TempDir(), "bootstrap"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "<UsedInIface>") {
		t.Fatalf("%v\n%.2000s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "<ReflectMethod>") {
			t.Errorf("methods are looked up by names that the linker cannot know: %s", line)
		}
	}
}

// What packages do before main is done at each cold start, whatever the function is for.
// Tables of whole services' operations are the most of it: see package signed.
func TestInitAllocates(t *testing.T) {
	t.Parallel()
	path, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path) // which ends at once, since it is told nothing
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	bytes, allocations := 0, 0
	for _, m := range regexp.MustCompile(`(?m)^init \S+ .* (\d+) bytes, (\d+) allocs$`).FindAllStringSubmatch(string(out), -1) {
		n, err := strconv.Atoi(m[1])
		k, err2 := strconv.Atoi(m[2])
		if err != nil || err2 != nil {
			t.Fatal(m)
		}
		bytes, allocations = bytes+n, allocations+k
	}
	t.Logf("init: %d bytes in %d allocations", bytes, allocations)
	const mostBytes, mostAllocations = 1 << 20, 5500
	if allocations < 100 || allocations > mostAllocations || bytes > mostBytes {
		t.Errorf("packages allocate %d bytes in %d pieces before main, and should at most %d in %d:\n%s", bytes, allocations, mostBytes, mostAllocations, out)
	}
}

// The backend cannot import the applications' version; it is the same all the same.
func TestVersion(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../../app/version/version.go"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`const Number = "([^"]+)"`).FindSubmatch(text)
	if m == nil || string(m[1]) != version {
		t.Errorf("version %q, and %s in app/version", version, m)
	}
}
