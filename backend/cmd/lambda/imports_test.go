package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// maxSize is the size of the stripped program that was aimed at.
const maxSize = 15 << 20

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
