// Package awslocaltest starts the local AWS account in tests: with the real program,
// built once, and the DynamoDB Local that a test binary's tests share.
package awslocaltest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/program"
)

// TB is what this package needs of a testing.TB.
type TB interface {
	program.TB
	Context() context.Context
	Cleanup(func())
}

// Start starts an account that ends with the test. What the config leaves open is
// chosen so that tests do not meet: name, ports, program.
func Start(t TB, cfg awslocal.Config) *awslocal.Local {
	t.Helper()
	if cfg.DynamoDB == nil {
		u, err := url.Parse(dynamolocal.Test(t))
		if err != nil {
			t.Fatal(err)
		}
		cfg.DynamoDB = u
	}
	if cfg.Name == "" {
		cfg.Name = dynamolocal.Table("culvert")
	}
	if cfg.Bootstrap == "" && len(cfg.InProcess) == 0 {
		cfg.Bootstrap = Bootstrap(t)
	}
	l, err := awslocal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// Bootstrap is the functions' program, built as it is for AWS but for this machine.
// CULVERT_BOOTSTRAP names one that is built already.
func Bootstrap(t TB) string {
	t.Helper()
	path, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The program belongs to the process: building it takes longer than most tests.
var bootstrap = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CULVERT_BOOTSTRAP"); path != "" {
		return filepath.Abs(path)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "culvert", "test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return build(dir)
})

// build builds into a file of its own and puts it in the place of an earlier one:
// other test binaries may be running that.
func build(dir string) (string, error) {
	file, err := os.CreateTemp(dir, "bootstrap-*")
	if err != nil {
		return "", err
	}
	file.Close()
	defer os.Remove(file.Name())
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w -buildid=",
		"-o", file.Name(), "culvert/backend/cmd/lambda")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building bootstrap: %w\n%s", err, out)
	}
	path := filepath.Join(dir, "bootstrap")
	return path, os.Rename(file.Name(), path)
}
