// Package e2e proves Culvert from outside: it starts the real programs as
// processes and talks to them as visitors, local services, agents and backends
// do. It knows the programs' flags, output and exit codes and the wire
// protocol's tables, and imports no package of the product.
//
// CULVERT_BIN_DIR names a folder of programs to test instead of fresh builds.
// CI=true or CULVERT_E2E=1 turns what would be skipped for a missing tool into
// a failure.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// buildDir receives the programs; it lives as long as the test binary.
var buildDir string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "culvert-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	// These tests wait for other processes more than they work.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		if err := f.Value.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// builds are the programs under test, each built once, when first asked for.
var builds = map[string]func() (string, error){
	"culvert":         sync.OnceValues(func() (string, error) { return build("culvert", "0") }),
	"culvert-desktop": sync.OnceValues(func() (string, error) { return build("culvert-desktop", "1") }),
}

func build(name, cgo string) (string, error) {
	if dir := os.Getenv("CULVERT_BIN_DIR"); dir != "" {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		return path, err
	}
	path := filepath.Join(buildDir, name)
	cmd := exec.Command("go", "build", "-o", path, "culvert/app/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// program gives the path of one of the product's programs.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := builds[name]()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// missing skips a test for want of a tool, or fails it where tools are promised.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("CULVERT_E2E") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
