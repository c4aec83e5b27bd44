package config

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// actAs makes this test binary, started once more, one of many processes.
const actAs = "CULVERT_TEST_CONFIG_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(actAs)
	if dir == "" {
		os.Exit(m.Run())
	}
	// All wait for the same line, so that they start together.
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		os.Exit(1)
	}
	d, err := Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	key, err := d.OwnerKey()
	if err == nil {
		err = d.RememberPort(20000 + os.Getpid()%10000)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(key.Public())
}

// TestManyProcesses has 20 processes ask for an owner key that is not there yet.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	const processes = 20
	dir := filepath.Join(t.TempDir(), "culvert")
	var wg sync.WaitGroup
	said := make([]string, processes)
	start := make(chan struct{})
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), actAs+"="+dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			<-start
			_, _ = in.Write([]byte("\n"))
			if err := cmd.Wait(); err != nil {
				t.Errorf("process %d: %v: %s", i, err, out.String())
			}
			said[i] = out.String()
		})
	}
	close(start)
	wg.Wait()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := d.OwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	for i, public := range said {
		if strings.TrimSpace(public) != key.Public() {
			t.Errorf("process %d has the key %q, the folder %q", i, public, key.Public())
		}
	}
	info, err := os.Stat(filepath.Join(dir, ownerFile))
	if err != nil {
		t.Fatal(err)
	}
	if os.PathSeparator == '/' && info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v", info.Mode().Perm())
	}
	noLeftovers(t, d)
}

// TestManyGoroutines is the same within one process, each with a Dir of its own.
func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "culvert")
	keys := make([]string, 20)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			d, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			key, err := d.OwnerKey()
			if err != nil {
				t.Error(err)
			}
			keys[i] = key.Public()
		})
	}
	wg.Wait()
	if slices.Sort(keys); keys[0] == "" || keys[0] != keys[len(keys)-1] {
		t.Errorf("keys differ: %q", keys)
	}
}

func TestDamagedOwnerKey(t *testing.T) {
	t.Parallel()
	d := open(t)
	path := d.file(ownerFile)
	write(t, path, "-----BEGIN PRIVATE KEY-----\nabc")
	if _, err := d.OwnerKey(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "-----BEGIN PRIVATE KEY-----\nabc" {
		t.Errorf("the key was touched: %q", text)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	d := open(t)
	if s, err := d.State(); err != nil || s.AllowLAN || len(s.BuiltInPorts) != 0 {
		t.Fatalf("before the first run: %+v, %v", s, err)
	}
	write(t, d.file(stateFile), "window = [1, 2]\nbuiltin_ports = [1234]\n")
	if _, err := d.UpdateState(func(s *State) { s.AllowLAN = true }); err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{1234, 4321} {
		if err := d.RememberPort(port); err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.State()
	if err != nil || !s.AllowLAN || !slices.Equal(s.BuiltInPorts, []int{1234, 4321}) {
		t.Errorf("got %+v, %v", s, err)
	}
	if text, err := os.ReadFile(d.file(stateFile)); err != nil || !strings.Contains(string(text), "window = [1, 2]") {
		t.Errorf("a key of another version was lost: %q, %v", text, err)
	}
	noLeftovers(t, d)
}

func TestStateIsBounded(t *testing.T) {
	t.Parallel()
	d := open(t)
	for port := range 20 {
		if err := d.RememberPort(3000 + port); err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.State()
	if err != nil || len(s.BuiltInPorts) != maxPorts || s.BuiltInPorts[0] != 3000 || s.BuiltInPorts[maxPorts-1] != 3019 {
		t.Errorf("got %v, %v", s.BuiltInPorts, err)
	}
}

// TestStateConcurrently loses no change, however many write.
func TestStateConcurrently(t *testing.T) {
	t.Parallel()
	d := open(t)
	var wg sync.WaitGroup
	for port := range maxPorts {
		wg.Go(func() {
			if err := d.RememberPort(3000 + port); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s, err := d.State(); err != nil || len(s.BuiltInPorts) != maxPorts {
		t.Errorf("got %v, %v", s.BuiltInPorts, err)
	}
}

func TestBrokenState(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"builtin_ports = [", "builtin_ports = [70000]\n", "allow_lan = \"yes\"\n"} {
		d := open(t)
		write(t, d.file(stateFile), text)
		s, err := d.UpdateState(func(s *State) { s.AllowLAN = true })
		var broken *BrokenStateError
		if !errors.As(err, &broken) || !s.AllowLAN || len(s.BuiltInPorts) != 0 {
			t.Fatalf("%q: %+v, %v", text, s, err)
		}
		if kept, err := os.ReadFile(broken.Kept); err != nil || string(kept) != text {
			t.Errorf("kept %q, %v; want %q", kept, err, text)
		}
		if s, err := d.State(); err != nil || !s.AllowLAN {
			t.Errorf("%q: afterwards %+v, %v", text, s, err)
		}
	}
}

func noLeftovers(t *testing.T, d *Dir) {
	t.Helper()
	if left, err := filepath.Glob(d.file("*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("temporary files were left behind: %q, %v", left, err)
	}
}
