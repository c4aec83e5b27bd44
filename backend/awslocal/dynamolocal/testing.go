package dynamolocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"culvert/backend/awslocal/program"
)

// Test returns the endpoint of a DynamoDB Local that all tests of this process
// share, so a test's tables need names of their own: see Table. It is started at
// the first call and ends with the process. One database serves every access key
// ID and region.
//
// Without Java or npm the test is skipped, except in continuous integration
// (CI=true, or CULVERT_E2E=1 as make test sets): there it fails.
func Test(t program.TB) (endpoint string) {
	t.Helper()
	endpoint, err := testServer()
	if err != nil {
		program.Unavailable(t, err)
	}
	return endpoint
}

// Table is a table name that no other call in this process returns.
func Table(name string) string {
	return fmt.Sprintf("t%d-%s", tables.Add(1), name)
}

// The server belongs to the process and not to a test, and so must these:
// starting a Java machine takes seconds, and no test knows that it is the last.
var (
	tables     atomic.Int64
	testServer = sync.OnceValues(startForTests)
)

// startForTests starts a server that no goroutine of ours waits for, so that
// tests which look for leaks find none. The kernel ends it with the process.
func startForTests() (endpoint string, err error) {
	if !program.Tied {
		return "", errors.New("DynamoDB Local would outlive the tests: only Linux ends it with them")
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout+fetchTimeout)
	defer cancel()
	cfg := Config{Shared: true, Output: os.Stderr}
	java, dir, unlock, err := cfg.prepare(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	for range ports {
		// Nobody takes what the program says, which a goroutine would have to: if it ends
		// at once, that is most likely because its port was taken.
		if endpoint, err = cfg.startUnwatched(ctx, java, dir); !errors.Is(err, errEnded) {
			break
		}
	}
	return endpoint, err
}

func (c Config) startUnwatched(ctx context.Context, java, dir string) (endpoint string, err error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	cmd, endpoint := c.command(java, dir, port)
	if err := program.StartTied(cmd); err != nil {
		return "", fmt.Errorf("starting DynamoDB Local: %w", err)
	}
	if err := ready(ctx, endpoint, func() bool { return program.Reaped(cmd.Process) }); err != nil {
		cmd.Process.Kill()
		return "", err
	}
	return endpoint, nil
}
