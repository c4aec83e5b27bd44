package discover

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listen starts a program that prints its port once it listens, in the folder.
func listen(t *testing.T, folder, program string, args ...string) (port, pid int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = folder
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: make setup installs it", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("%s has ended before it listened", program)
	}
	if port, err = strconv.Atoi(lines.Text()); err != nil {
		t.Fatal(err)
	}
	return port, cmd.Process.Pid
}

// server is a program of node that listens on an address.
func server(addr string) string {
	return fmt.Sprintf(`s = require("http").createServer().listen(0, %q, () => console.log(s.address().port))`, addr)
}

func find(t *testing.T, list []Service, port int) Service {
	t.Helper()
	i := slices.IndexFunc(list, func(s Service) bool { return s.Port == port })
	if i < 0 {
		t.Fatalf("nothing is found on port %d, only %+v", port, list)
	}
	return list[i]
}

func TestScanFindsRealServices(t *testing.T) {
	t.Parallel()
	shop := tree(t, map[string]string{
		"node_modules/vite/bin/vite.js": server("::1"), "server.js": server("127.0.0.1"),
		"package.json": `{"dependencies":{"express":"4"}}`, "api/main.js": server("0.0.0.0"), "both.js": server("::"), "odd.js": server("127.1.2.3"),
	})
	python := `import http.server
s = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
print(s.server_address[1], flush=True)
s.serve_forever()`
	site := tree(t, map[string]string{"manage.py": python, "plain.py": python})
	type service struct{ Address, Process, Title, Framework, Folder, Target string }
	for _, c := range []struct {
		name, folder, program string
		args                  []string
		want                  service // Target without the port
	}{
		{"vite on IPv6", shop, "node", []string{"node_modules/vite/bin/vite.js"}, service{"::1", "node", "vite", "vite", shop, "localhost"}},
		{"express on IPv4", shop, "node", []string{"server.js"}, service{"127.0.0.1", "node", "express", "express", shop, "localhost"}},
		{"every IPv4 address", shop + "/api", "node", []string{"main.js"}, service{"0.0.0.0", "node", "express", "express", shop + "/api", "localhost"}},
		{"every address", shop, "node", []string{"both.js"}, service{"::", "node", "express", "express", shop, "localhost"}},
		{"a loopback address of its own", shop, "node", []string{"odd.js"}, service{"127.1.2.3", "node", "express", "express", shop, "127.1.2.3"}},
		{"django", site, "python3", []string{"manage.py", "runserver"}, service{"127.0.0.1", "python", "django", "django", site, "localhost"}},
		{"python", site, "python3", []string{"plain.py"}, service{"127.0.0.1", "python", "python", "", site, "localhost"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port, pid := listen(t, c.folder, c.program, c.args...)
			list, err := Scan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s := find(t, list, port)
			got := service{s.Address, trimVersion(s.Process), s.Title, s.Framework, s.Folder, strings.TrimSuffix(s.Target, fmt.Sprintf(":%d", port))}
			if diff := cmp.Diff(c.want, got); diff != "" || s.HTTP != Likely || s.Hazard != (Hazard{}) || s.Own || s.PID != pid {
				t.Errorf("%+v (-want +got):\n%s", s, diff)
			}
		})
	}
}

// This process's own listeners are not listed.
func TestScanLeavesOutItsOwn(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	list, err := Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if port := l.Addr().(*net.TCPAddr).Port; slices.ContainsFunc(list, func(s Service) bool { return s.Port == port }) {
		t.Errorf("its own port %d is listed", port)
	}
}

// Both ways to ask the kernel give the same.
func TestTablesAndNetlinkAgree(t *testing.T) {
	t.Parallel()
	want := map[string]bool{}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0", "127.9.8.7:0"} {
		network := "tcp"
		if addr == "0.0.0.0:0" {
			network = "tcp4"
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		want[l.Addr().String()] = true
	}
	for name, ask := range map[string]func() ([]socket, error){
		"netlink": askSockets, "tables": func() ([]socket, error) { return readSockets(defaultProc) },
	} {
		sockets, err := ask()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := map[string]bool{}
		for _, s := range sockets {
			if a := net.JoinHostPort(s.addr.String(), strconv.Itoa(s.port)); want[a] {
				got[a] = s.inode != 0
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Processes come and go while they are looked at. What stays is found all the same.
func TestScanWhileProcessesVanish(t *testing.T) {
	t.Parallel()
	port, pid := listen(t, t.TempDir(), "node", "-e", server("127.0.0.1"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	for range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				_ = exec.CommandContext(ctx, "true").Run()
			}
		}()
	}
	for range 20 {
		list, err := Scan(t.Context()) // with a new memory each time
		if err != nil {
			t.Error(err)
			break
		}
		if s := find(t, list, port); s.PID != pid {
			t.Errorf("found %+v, want process %d", s, pid)
			break
		}
	}
	cancel()
	<-done
	<-done
}

// A tree like the kernel's, in which everything may be missing or strange.
func TestScanOfStrangeTree(t *testing.T) {
	t.Parallel()
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(address, state, inode string) string {
		return "   0: " + address + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000  1000        0 " + inode + " 1 0000000000000000 100 0 0 10 0\n"
	}
	root := tree(t, map[string]string{
		"net/tcp": head + line("0100007F:1435", "0A", "11") + line("0100007F:0BB8", "01", "12") + line("00000000:1F90", "0A", "13") +
			line("garbage", "0A", "14") + line("0100007F:0BB9", "0A", "x") + line("0100007F:0BBA", "0A", "0") + "short line\n\n",
		"100/cmdline": "node\x00/x/node_modules/.bin/vite\x00", "100/stat": "100 (node (x) y) S 1 100",
		"100/fd/.keep": "", "200/fd/.keep": "", "200/stat": "garbage", "self/fd/.keep": "", "300": "a file instead of a folder", "abc/fd/.keep": "",
	})
	for link, to := range map[string]string{"100/fd/3": "socket:[11]", "100/fd/4": "/dev/null", "100/cwd": "/home/x/shop (deleted)", "200/fd/7": "socket:[13]"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := scanner{proc: root}
	check := func(want []Service) {
		t.Helper()
		got, err := s.scan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("services (-want +got):\n%s", diff)
		}
	}
	vite := Service{Port: 5173, Address: "127.0.0.1", PID: 100, Process: "node (x) y", Title: "vite", Framework: "vite", HTTP: Likely, Target: "localhost:5173"}
	check([]Service{vite, {Port: 8080, Address: "0.0.0.0", PID: 200, HTTP: Likely, Target: "localhost:8080"}})
	// They vanish between two looks; their sockets are with somebody else, who is
	// remembered for a while.
	for _, gone := range []string{"100", "200"} {
		if err := os.RemoveAll(filepath.Join(root, gone)); err != nil {
			t.Fatal(err)
		}
	}
	check([]Service{vite, {Port: 8080, Address: "0.0.0.0", PID: 200, HTTP: Likely, Target: "localhost:8080"}})
	s = scanner{proc: root}
	check([]Service{
		{Port: 5173, Address: "127.0.0.1", HTTP: Likely, Target: "localhost:5173"}, {Port: 8080, Address: "0.0.0.0", HTTP: Likely, Target: "localhost:8080"},
	})
}

func FuzzParseSockets(f *testing.F) {
	f.Add("   0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 498 1 0 100 0 0 10 0\n")
	f.Add("   1: 00000000000000000000000001000000:1435 0:0 0A 0 0 0 0 0 7\n")
	f.Fuzz(func(t *testing.T, table string) {
		sockets, _ := parseSockets(strings.NewReader(table))
		for _, s := range sockets {
			if !s.addr.IsValid() || s.port < 0 || s.port > 65535 || s.inode == 0 {
				t.Errorf("%q gives %+v", table, s)
			}
		}
	})
}

func FuzzParseDiag(f *testing.F) {
	f.Add(make([]byte, diagMessageSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseDiag(b); ok && !s.addr.IsValid() {
			t.Errorf("%x gives %+v", b, s)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("100 (a) b) S 1 100"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, stat []byte) { parseStat(stat) })
}
