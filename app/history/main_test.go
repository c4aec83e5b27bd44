package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// What this test binary does when it is started as another process.
const childVariable = "CULVERT_HISTORY_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		if err := children[role](os.Args[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// children are the parts that other processes play. What they print is read by tests.
var children = map[string]func(args []string) error{
	"write":    writeForever,
	"share":    shareFile,
	"grep":     grep,
	"readonly": openReadOnly,
	"full":     fillDisk,
	"hold":     holdLock,
}

// start starts another process.
func start(t *testing.T, role string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), childVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// run gives what another process has printed until its end.
func run(t *testing.T, role string, args ...string) []string {
	t.Helper()
	cmd, lines := start(t, role, args...)
	var all []string
	for lines.Scan() {
		all = append(all, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v, after %q", role, err, all)
	}
	return all
}

// writeForever adds exchanges and prints how many of them are on disk.
func writeForever(args []string) error {
	h, err := Open(context.Background(), Config{Path: args[0]})
	if err != nil {
		return err
	}
	first, _ := strconv.Atoi(args[1])
	for n := first; ; {
		for range 50 {
			h.Add(sample(n))
			n++
		}
		if n%200 == 0 { // so that the end also comes between two of them
			if err := h.Flush(context.Background()); err != nil {
				return err
			}
			fmt.Println(n)
		}
	}
}

// shareFile adds some exchanges, told apart by a tunnel's name, to a file that
// others use, too.
func shareFile(args []string) error {
	h, err := Open(context.Background(), Config{Path: args[0]})
	if err != nil {
		return err
	}
	for n := range shared {
		x := sample(n)
		x.ID, x.Tunnel = args[1]+x.ID, args[1]
		h.Add(x)
		if n%10 == 9 {
			if err := h.Flush(context.Background()); err != nil {
				return err
			}
		}
	}
	if h.Dropped() > 0 {
		return fmt.Errorf("%d were dropped", h.Dropped())
	}
	return h.Close(context.Background())
}

// grep prints the files in a folder that have one of the texts in them. It is a
// process of its own because closing a file ends all locks that its process has on it.
func grep(args []string) error {
	return filepath.WalkDir(args[0], func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, text := range args[1:] {
			if strings.Contains(string(content), text) {
				fmt.Printf("%s: %s\n", d.Name(), text)
			}
		}
		return err
	})
}

// openReadOnly says what comes of a folder that may not be written.
func openReadOnly(args []string) error {
	if err := dropRights(); err != nil {
		return err
	}
	for _, path := range args {
		h, err := Open(context.Background(), Config{Path: path})
		if h != nil {
			return fmt.Errorf("opening %s gave a history and %v", path, err)
		}
		fmt.Println(err)
	}
	return nil
}

// holdLock holds the lock of a history until its process is killed.
func holdLock(args []string) error {
	if _, err := lock(context.Background(), args[0]); err != nil {
		return err
	}
	fmt.Println(os.Getpid())
	select {}
}

// fillDisk finds out what happens when the disk takes no more, and then takes it again.
func fillDisk(args []string) error {
	troubles := make(chan error, 10)
	h, err := Open(context.Background(), Config{Path: args[0], OnTrouble: func(err error) { troubles <- err }})
	if err != nil {
		return err
	}
	ctx := context.Background()
	h.Add(sample(0))
	if err := h.Flush(ctx); err != nil {
		return err
	}
	if err := limitFiles(100 << 10); err != nil {
		return err
	}
	for n := range refused { // none of which has room
		h.Add(heavy(n+1, 200<<10))
	}
	if err := h.Flush(ctx); err != nil {
		return err
	}
	fmt.Println("trouble:", <-troubles)
	if p, err := h.Search(ctx, Query{}); err != nil || len(p.Rows) != 1 {
		return fmt.Errorf("with a full disk, a search gives %d rows and %v", len(p.Rows), err)
	}
	if err := limitFiles(1 << 30); err != nil {
		return err
	}
	h.Add(sample(2000))
	if err := h.Flush(ctx); err != nil {
		return err
	}
	fmt.Println("trouble:", <-troubles)
	fmt.Println("dropped:", h.Dropped())
	return h.Close(ctx)
}
