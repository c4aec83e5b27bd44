package discover

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"culvert/app/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func at(addr string, port, pid int) listener {
	return listener{addr: netip.MustParseAddr(addr), port: port, pid: pid}
}

// What listens becomes a list of what can be opened.
func TestServices(t *testing.T) {
	t.Parallel()
	processes := map[int]process{
		10: {pid: 10, name: "node", args: []string{"node", "/home/x/shop/node_modules/.bin/vite"}, folder: "/home/x/shop"},
		11: {pid: 11, name: "python3.12", args: []string{"python3", "-m", "http.server"}},
		12: {pid: 12, name: "postgres"},
		13: {pid: 13, name: "culvert", args: []string{"culvert", "relay"}},
		14: {pid: 14, name: "strange"},
		15: {pid: 15, name: "python3.12", parent: 16, args: []string{"python3", "-c", "from multiprocessing.spawn import spawn_main"}},
		16: {pid: 16, name: "python3.12", args: []string{"python3", "/x/bin/uvicorn", "main:app", "--reload"}},
	}
	const own = 99
	type row struct {
		Port                   int
		Address, Title, Target string
		HTTP                   Maybe
		Hazard                 HazardKind
		Own                    bool
	}
	for _, c := range []struct {
		name      string
		listeners []listener
		want      []row
	}{
		{"nothing", nil, nil},
		{"one on both versions of IP", []listener{at("::1", 5173, 10), at("127.0.0.1", 5173, 10)},
			[]row{{5173, "127.0.0.1", "vite", "localhost:5173", Likely, NoHazard, false}}},
		{"every address", []listener{at("127.0.0.1", 8000, 11), at("::", 8000, 11)},
			[]row{{8000, "::", "python http.server", "localhost:8000", Likely, NoHazard, false}}},
		{"IPv6 only", []listener{at("::1", 5173, 10)}, []row{{5173, "::1", "vite", "localhost:5173", Likely, NoHazard, false}}},
		{"IPv4 in IPv6", []listener{at("::ffff:127.0.0.1", 5173, 10)}, []row{{5173, "127.0.0.1", "vite", "localhost:5173", Likely, NoHazard, false}}},
		{"another loopback address", []listener{at("127.0.0.53", 5173, 10)}, []row{{5173, "127.0.0.53", "vite", "127.0.0.53:5173", Likely, NoHazard, false}}},
		{"not reached by loopback", []listener{at("192.168.1.7", 5173, 10), at("fe80::1", 5173, 10), at("2001:db8::1", 80, 10)}, nil},
		{"its own", []listener{at("127.0.0.1", 5173, own)}, nil},
		{"another Culvert's", []listener{at("127.0.0.1", 8080, 13)}, []row{{8080, "127.0.0.1", "culvert", "localhost:8080", Likely, NoHazard, true}}},
		{"nobody knows whose", []listener{at("0.0.0.0", 4567, 0), at("::", 4567, 0), at("127.0.0.1", 3306, 0)},
			[]row{{4567, "0.0.0.0", "", "localhost:4567", Unknown, NoHazard, false}, {3306, "127.0.0.1", "MySQL", "localhost:3306", Unlikely, Database, false}}},
		{"half known", []listener{at("::", 5173, 0), at("127.0.0.1", 5173, 10)}, []row{{5173, "127.0.0.1", "vite", "localhost:5173", Likely, NoHazard, false}}},
		{"two on one port", []listener{at("::1", 8000, 10), at("127.0.0.1", 8000, 11)}, []row{
			{8000, "::1", "vite", "[::1]:8000", Likely, NoHazard, false}, {8000, "127.0.0.1", "python http.server", "127.0.0.1:8000", Likely, NoHazard, false}}},
		{"a worker tells nothing itself", []listener{at("127.0.0.1", 8000, 15)}, []row{{8000, "127.0.0.1", "uvicorn", "localhost:8000", Likely, NoHazard, false}}},
		{"TLS by custom", []listener{at("0.0.0.0", 8443, 10)}, []row{{8443, "0.0.0.0", "vite", "https://localhost:8443", Likely, NoHazard, false}}},
		{"what to open first", []listener{
			at("127.0.0.1", 1000, 14), at("127.0.0.1", 80, 13), at("127.0.0.1", 5432, 12), at("127.0.0.1", 9000, 11), at("127.0.0.1", 5173, 10), at("127.0.0.1", 0, 10)},
			[]row{
				{5173, "127.0.0.1", "vite", "localhost:5173", Likely, NoHazard, false},
				{9000, "127.0.0.1", "python http.server", "localhost:9000", Likely, NoHazard, false},
				{1000, "127.0.0.1", "strange", "localhost:1000", Unknown, NoHazard, false},
				{5432, "127.0.0.1", "PostgreSQL", "localhost:5432", Unlikely, Database, false},
				{80, "127.0.0.1", "culvert", "localhost:80", Likely, NoHazard, true},
			}},
	} {
		var got []row
		for _, s := range services(c.listeners, own, func(pid int) process { return processes[pid] }) {
			got = append(got, row{s.Port, s.Address, s.Title, s.Target, s.HTTP, s.Hazard.Kind, s.Own})
			if parsed, err := target.Parse(s.Target); err != nil || parsed.Port != s.Port {
				t.Errorf("%s: the target %q leads to %v, %v", c.name, s.Target, parsed, err)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestListIsBounded(t *testing.T) {
	t.Parallel()
	var many []listener
	for port := range maxServices * 2 {
		many = append(many, at("127.0.0.1", port+1, 0))
	}
	if n := len(services(many, 1, func(int) process { return process{} })); n != maxServices {
		t.Errorf("%d services are listed, want %d", n, maxServices)
	}
}
