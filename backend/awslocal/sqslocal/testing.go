package sqslocal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"culvert/backend/awslocal/program"
)

// Test returns the endpoint of an ElasticMQ that all tests of this process share, so a
// test's queues need names of their own: see Name. It is started at the first call and
// ends with the process.
//
// Without Java or Maven the test is skipped, except in continuous integration (CI=true,
// or CULVERT_E2E=1 as make test sets): there it fails.
func Test(t program.TB) (endpoint string) {
	t.Helper()
	endpoint, err := testServer()
	if err != nil {
		program.Unavailable(t, err)
	}
	return endpoint
}

// Name is a name for a queue, or the beginning of one, that no other call in this
// process returns.
func Name(of string) string { return fmt.Sprintf("t%d-%s", names.Add(1), of) }

// The server belongs to the process and not to a test, and so must these: starting a
// Java machine takes seconds, and no test knows that it is the last.
var (
	names      atomic.Int64
	testServer = sync.OnceValues(startForTests)
)

// startForTests starts a server that no goroutine of ours waits for, so that tests
// which look for leaks find none. The kernel ends it with the process.
func startForTests() (endpoint string, err error) {
	if !program.Tied {
		return "", errors.New(name + " would outlive the tests: only Linux ends it with them")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*startTimeout)
	defer cancel()
	cmd, err := Config{Output: os.Stderr}.command(ctx)
	if err != nil {
		return "", err
	}
	said, in, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer said.Close() // what it says later is nobody's, and it goes on without
	cmd.Stdout, cmd.Stderr = in, in
	err = program.StartTied(cmd)
	in.Close()
	if err != nil {
		return "", fmt.Errorf("starting %s: %w", name, err)
	}
	defer context.AfterFunc(ctx, func() { said.Close() })()
	var tail program.Tail
	for s := bufio.NewScanner(said); s.Scan(); {
		if m := listening.FindSubmatch(s.Bytes()); m != nil {
			return "http://" + string(m[1]), nil
		}
		fmt.Fprintln(&tail, s.Text())
	}
	cmd.Process.Kill()
	return "", fmt.Errorf("%w%s", errEnded, tail.Quote())
}
