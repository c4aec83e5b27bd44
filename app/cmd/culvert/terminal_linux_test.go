package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// openTerminal makes a pseudo terminal of that width: what is written to tty can
// be read from screen.
func openTerminal(t *testing.T, columns uint16) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system has no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	ioctl := func(f *os.File, request uintptr, arg unsafe.Pointer) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
			t.Fatalf("ioctl %#x: %v", request, errno)
		}
	}
	var unlock, number int32
	ioctl(screen, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	ioctl(screen, syscall.TIOCGPTN, unsafe.Pointer(&number))
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	size := struct{ rows, columns, x, y uint16 }{24, columns, 0, 0}
	ioctl(tty, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	return screen, tty
}

// TestTerminal is what a person sees: colours if wanted, and lines that fit.
func TestTerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env    string
		colors bool
	}{
		"colours": {"TERM=xterm", true},
		"none":    {"NO_COLOR=1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const columns = 80
			screen, tty := openTerminal(t, columns)
			cmd := exec.Command("culvert", "http", service(t), "--config", t.TempDir())
			cmd.Env = append(cmd.Environ(), "NO_COLOR=", "TERM=", c.env, "CULVERT_BACKEND=", "CULVERT_TOKEN=")
			cmd.Stdout = tty
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := sync.OnceValue(cmd.Wait)
			defer ended()
			defer cmd.Process.Kill()
			var seen lockedBuffer
			go io.Copy(&seen, screen)
			find := func(text string) string {
				t.Helper()
				for deadline := time.Now().Add(patience); ; {
					for line := range strings.Lines(seen.String()) {
						if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
							return strings.TrimRight(line, "\r\n")
						}
					}
					if time.Now().After(deadline) {
						t.Fatalf("no %q on the screen: %q", text, seen.String())
					}
					time.Sleep(10 * time.Millisecond) // polling; the deadline decides
				}
			}
			_, public, _ := strings.Cut(find("public URL"), "http://")
			public, _, _ = strings.Cut("http://"+public, "\x1b")
			get(t, visits(), public+"/"+strings.Repeat("long/", 40))
			line := find("GET")
			if strings.Contains(line, "\x1b[32m200") != c.colors || strings.Contains(line, "\x1b") != c.colors {
				t.Errorf("line %q", line)
			}
			for _, color := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m"} {
				line = strings.ReplaceAll(line, color, "")
			}
			if n := len([]rune(line)); n > columns || n < columns-10 || !strings.Contains(line, "…") || !strings.Contains(line, "127.0.0.1") {
				t.Errorf("%d columns in %q", n, line)
			}
			_ = cmd.Process.Signal(syscall.SIGINT)
			find("offline: stopped by SIGINT")
			if err := ended(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A refusal is on the screen once, although both outputs tell it to whoever reads one.
func TestRefusalOnATerminal(t *testing.T) {
	t.Parallel()
	const refusal = "give it a valid token"
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(backend.Close)
	screen, tty := openTerminal(t, 200)
	address := strings.Replace(backend.URL, "http", "ws", 1) + "/live"
	cmd := exec.Command("culvert", "http", service(t), "--backend", address+"?token=secret", "--config", t.TempDir())
	cmd.Env = append(cmd.Environ(), "NO_COLOR=1", "CULVERT_TOKEN=")
	cmd.Stdout, cmd.Stderr = tty, tty
	var seen lockedBuffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(&seen, screen) // ends with EIO when the last one has closed the terminal
	}()
	err := cmd.Run()
	tty.Close()
	<-read
	said := seen.String()
	if cmd.ProcessState.ExitCode() != exitRefused || strings.Count(said, refusal) != 1 || !strings.Contains(said, "offline: refused by the backend\r\n") {
		t.Errorf("%v: %q", err, said)
	}
	if !strings.Contains(said, "connecting to "+address+" for http://") || strings.Contains(said, "secret") {
		t.Errorf("what it connects: %q", said)
	}
}

// TestDoctorOnATerminal: what is under way is shown and taken back, and colours are only
// for those who want them.
func TestDoctorOnATerminal(t *testing.T) {
	t.Parallel()
	at, stop, err := serveRelay("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for name, env := range map[string]string{"colours": "TERM=xterm", "none": "NO_COLOR=1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			screen, tty := openTerminal(t, 200)
			cmd := exec.Command("culvert", "doctor", "--backend", at, "--config", t.TempDir())
			cmd.Env = append(cmd.Environ(), "NO_COLOR=", "TERM=", env, "CULVERT_TOKEN=", "CULVERT_BACKEND=")
			cmd.Stdout = tty
			var seen lockedBuffer
			read := make(chan struct{})
			go func() {
				defer close(read)
				io.Copy(&seen, screen)
			}()
			err := cmd.Run()
			tty.Close()
			<-read
			said := seen.String()
			if err != nil || !strings.Contains(said, "… Handshake\r           \r") || !strings.Contains(said, "Everything works.") {
				t.Errorf("%v: %q", err, said)
			}
			if strings.Contains(said, "\x1b[32m✓\x1b[0m") != (name == "colours") || strings.Contains(said, "\x1b") != (name == "colours") {
				t.Errorf("%q", said)
			}
		})
	}
}
