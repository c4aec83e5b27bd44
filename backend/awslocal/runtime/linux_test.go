//go:build linux

package runtime_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"culvert/backend/awslocal/runtime"
)

// orphanVariable has the test's program run a function until it is killed.
const orphanVariable = "CULVERT_TEST_ORPHAN"

// state gives the process's state letter, or 'X' if it is no more.
func state(t *testing.T, pid int) byte {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 'X'
	}
	if err != nil {
		t.Fatal(err)
	}
	return stat[bytes.LastIndexByte(stat, ')')+2]
}

// awaitState waits until the kernel has done what it was told.
func awaitState(t *testing.T, pid int, want string) {
	t.Helper()
	for range 3000 {
		if bytes.IndexByte([]byte(want), state(t, pid)) >= 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("process %d is in state %c, not in one of %s", pid, state(t, pid), want)
}

func pid(t *testing.T, f runtime.Function) int {
	t.Helper()
	n, err := strconv.Atoi(invoke(t, f, `{"action":"pid"}`))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEnvironmentsAreFrozen(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{})
	p := pid(t, f)
	awaitState(t, p, "T")
	if pid(t, f) != p {
		t.Error("a frozen environment was not used again")
	}
	awaitState(t, p, "T")
	f.Stop()
	awaitState(t, p, "X")
}

func TestEnvironmentsMayKeepRunning(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{KeepRunning: true})
	p := pid(t, f)
	if got := state(t, p); got == 'T' {
		t.Error("frozen")
	}
}

func TestIdleEnvironmentsAreRetired(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{IdleAfter: 50 * time.Millisecond})
	p := pid(t, f)
	awaitState(t, p, "X")
	for f.Environments() > 0 { // the record goes at about the same time
		time.Sleep(time.Millisecond)
	}
	if again := pid(t, f); again == p {
		t.Error("used after it was retired")
	}
}

func TestEnvironmentKilledWhileFrozen(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{})
	p := pid(t, f)
	awaitState(t, p, "T")
	if err := syscall.Kill(p, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitState(t, p, "X")
	// The stand-in learns of it a moment later; until then it may hand the dead
	// environment an invocation, which fails as a crash does.
	for range 100 {
		r, err := f.Invoke(t.Context(), []byte(`{"action":"count"}`))
		if err != nil {
			t.Fatal(err)
		}
		if r.FunctionError == "" && string(r.Payload) == "1" {
			return
		}
	}
	t.Error("no fresh environment")
}

func TestNoProcessIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"stop", "crash"} {
		f, _ := start(t, runtime.Config{})
		child, err := strconv.Atoi(invoke(t, f, `{"action":"child"}`))
		if err != nil {
			t.Fatal(err)
		}
		if end == "stop" {
			f.Stop()
		} else if _, err := f.Invoke(t.Context(), []byte(`{"action":"exit"}`)); err != nil {
			t.Fatal(err)
		}
		awaitState(t, child, "XZ") // killed; whoever adopted it may take its time
	}
}

// runUntilKilled is the stand-in that TestNoProcessOutlivesAKilledStandIn kills. Its
// environment is at work then: an idle one would notice by itself.
func runUntilKilled(path string) {
	f, err := runtime.New(runtime.Config{Name: "test", Bootstrap: path, Timeout: time.Minute,
		Log: func(line runtime.Line) { fmt.Println(line.Text) }})
	if err == nil {
		_, err = f.Invoke(context.Background(), []byte(`{"action":"hang"}`))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestNoProcessOutlivesAKilledStandIn(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanVariable+"="+program)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	p, err := strconv.Atoi(string(bytes.TrimSpace([]byte(line))))
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, p, "XZ")
}
