package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestStateNeedsNoLock: nothing is written for reading. A folder in the lock's place
// is what stops even an administrator from taking it.
func TestStateNeedsNoLock(t *testing.T) {
	t.Parallel()
	d := open(t)
	if err := d.RememberPort(4711); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.file(lockFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.file(lockFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := d.State(); err != nil || len(s.BuiltInPorts) != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
}

// TestReadOnlyFolder has all files that are read, and can be written by nobody.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("this user may write everywhere")
	}
	d := open(t)
	key, err := d.OwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	write(t, d.file(stateFile), "builtin_ports = [")
	if err := os.Chmod(d.Path(), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(d.Path(), 0o700) })
	again, err := Open(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.OwnerKey(); err != nil || got.Public() != key.Public() {
		t.Errorf("owner key: %v", err)
	}
	_, err = again.State()
	if broken := (*BrokenStateError)(nil); !errors.As(err, &broken) || broken.Kept != "" {
		t.Errorf("broken state: %v", err)
	}
	if err := os.Chmod(d.Path(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.file(lockFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.Chmod(d.Path(), 0o500); err != nil {
		t.Fatal(err)
	}
	_, err = again.State()
	if broken := (*BrokenStateError)(nil); !errors.As(err, &broken) || broken.Kept != "" {
		t.Errorf("broken state without a lock file: %v", err)
	}
	if _, err := again.UpdateState(func(*State) {}); !IsReadOnly(err) {
		t.Errorf("writing: %v", err)
	}
}

func TestIsReadOnly(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		&fs.PathError{Op: "open", Err: syscall.EACCES}:                        true,
		&fs.PathError{Op: "mkdir", Err: syscall.EROFS}:                        true,
		fmt.Errorf("locking: %w", &fs.PathError{Op: "x", Err: syscall.EPERM}): true,
		&fs.PathError{Op: "mkdir", Err: syscall.ENOTDIR}:                      false,
		fs.ErrNotExist: false,
	} {
		if got := IsReadOnly(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if IsReadOnly(nil) {
		t.Error("no error")
	}
}

// TestOwnerKeyIsProtected takes a key away from others, and says so once.
func TestOwnerKeyIsProtected(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	d := open(t)
	if notice := d.ProtectOwnerKey(); notice != "" {
		t.Errorf("without a key: %q", notice)
	}
	if _, err := d.OwnerKey(); err != nil {
		t.Fatal(err)
	}
	if notice := d.ProtectOwnerKey(); notice != "" {
		t.Errorf("a new key: %q", notice)
	}
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604} {
		if err := os.Chmod(d.file(ownerFile), mode); err != nil {
			t.Fatal(err)
		}
		if loose := LooseMode(d.file(ownerFile)); !strings.Contains(loose, fmt.Sprintf("%04o", mode)) {
			t.Errorf("%o: %q", mode, loose)
		}
		if notice := d.ProtectOwnerKey(); !strings.Contains(notice, d.file(ownerFile)) {
			t.Errorf("%o: %q", mode, notice)
		}
		info, err := os.Stat(d.file(ownerFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%o: now %v, %v", mode, info.Mode(), err)
		}
	}
}
