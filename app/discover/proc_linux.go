package discover

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kernel's tables of sockets (https://man7.org/linux/man-pages/man5/proc_pid_net.5.html)
// tell the address and an inode; whose it is only shows in the links below
// /proc/PID/fd, of which a user may read those of his own processes.
const defaultProc = "/proc"

const (
	// tcpListen is a socket's state, as in the kernel's include/net/tcp_states.h.
	tcpListen = "0A"
	// maxArgs bounds what is read of a command line, in bytes; class paths are long.
	maxArgs = 64 << 10
	// stale is the age at which what is known of a process is asked for again: it may
	// have changed its title, or have left its socket to a child.
	stale = 30 * time.Second
)

// scanner lists services again and again. It remembers whose the sockets are: to look
// through the open files of all processes takes much longer than anything else.
// It is used by one goroutine.
type scanner struct {
	proc      string // "" for defaultProc
	owners    map[uint64]owner
	processes map[int]known
}

type owner struct {
	pid int // 0: none that may be known
	at  time.Time
}

type known struct {
	process
	at time.Time
}

func (s *scanner) scan(ctx context.Context) ([]Service, error) {
	proc := cmp.Or(s.proc, defaultProc)
	sockets, err := askSockets()
	if err != nil || s.proc != "" {
		if sockets, err = readSockets(proc); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	if err := s.findOwners(ctx, proc, sockets, now); err != nil {
		return nil, err
	}
	listeners := make([]listener, len(sockets))
	for i, socket := range sockets {
		listeners[i] = socket.listener
		listeners[i].pid = s.owners[socket.inode].pid
	}
	seen := map[int]known{}
	list := services(listeners, os.Getpid(), func(pid int) process {
		k, ok := s.processes[pid]
		if !ok || now.Sub(k.at) >= stale {
			k = known{readProcess(proc, pid), now}
		}
		seen[pid] = k
		return k.process
	})
	s.processes = seen
	return list, ctx.Err()
}

// findOwners learns whose the sockets are, unless all of them are known.
func (s *scanner) findOwners(ctx context.Context, proc string, sockets []socket, now time.Time) error {
	owners := map[uint64]owner{}
	wanted := map[string]uint64{} // by the text of the link
	for _, socket := range sockets {
		if o, ok := s.owners[socket.inode]; ok && now.Sub(o.at) < stale {
			owners[socket.inode] = o
		} else {
			wanted[fmt.Sprintf("socket:[%d]", socket.inode)] = socket.inode
		}
	}
	s.owners = owners
	if len(wanted) == 0 {
		return nil
	}
	for _, pid := range pids(proc) {
		if err := ctx.Err(); err != nil {
			return err
		}
		folder := filepath.Join(proc, strconv.Itoa(pid), "fd")
		fds, err := names(folder)
		if err != nil {
			continue // another user's, or gone meanwhile
		}
		for _, fd := range fds {
			link, err := os.Readlink(filepath.Join(folder, fd))
			if err != nil {
				continue
			}
			if inode, ok := wanted[link]; ok {
				owners[inode] = owner{pid, now}
				delete(wanted, link)
			}
		}
		if len(wanted) == 0 {
			return nil
		}
	}
	for _, inode := range wanted {
		owners[inode] = owner{0, now}
	}
	return nil
}

// socket is a line of the kernel's table.
type socket struct {
	listener
	inode uint64
}

// readSockets lists what listens. A kernel may know no IPv6.
func readSockets(proc string) ([]socket, error) {
	var all []socket
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, "net", table))
		if errors.Is(err, fs.ErrNotExist) && table == "tcp6" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for services: %w", err)
		}
		sockets, err := parseSockets(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("looking for services: reading %s: %w", f.Name(), err)
		}
		all = append(all, sockets...)
	}
	return all, nil
}

// parseSockets reads a table. Lines that make no sense are passed over: the kernel's
// next version may have others.
func parseSockets(r io.Reader) ([]socket, error) {
	var all []socket
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != tcpListen {
			continue
		}
		addr, port, ok := parseAddress(fields[1])
		inode, err := strconv.ParseUint(fields[9], 10, 64)
		if !ok || err != nil || inode == 0 {
			continue
		}
		all = append(all, socket{listener{addr: addr, port: port}, inode})
	}
	return all, lines.Err()
}

// parseAddress reads "0100007F:1435": 32-bit words in the machine's byte order, and
// the port as a number.
func parseAddress(s string) (netip.Addr, int, bool) {
	text, portText, ok := strings.Cut(s, ":")
	port, err := strconv.ParseUint(portText, 16, 16)
	if !ok || err != nil {
		return netip.Addr{}, 0, false
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, 0, false
	}
	for word := range slices.Chunk(b, 4) {
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr, int(port), true
}

// pids lists the processes, the oldest first as a rule: of a server and its workers,
// which share a socket, the one that started the others is found.
func pids(proc string) []int {
	all, err := names(proc)
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range all {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// names lists a folder without asking for anything about what is in it.
func names(folder string) ([]string, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// readProcess learns about a process, which may be gone, or another user's. Its
// environment stays unread: there are secrets in it.
func readProcess(proc string, pid int) process {
	folder := filepath.Join(proc, strconv.Itoa(pid))
	p := process{pid: pid}
	p.exe, _ = os.Readlink(filepath.Join(folder, "exe"))
	p.exe = strings.TrimSuffix(p.exe, " (deleted)")
	p.folder, _ = os.Readlink(filepath.Join(folder, "cwd"))
	if strings.HasSuffix(p.folder, " (deleted)") {
		p.folder = ""
	}
	p.args = splitArgs(readStart(filepath.Join(folder, "cmdline"), maxArgs))
	stat := readStart(filepath.Join(folder, "stat"), 4096)
	p.name, p.parent = parseStat(stat)
	if p.exe != "" {
		p.name = filepath.Base(p.exe)
	}
	return p
}

// splitArgs takes a command line apart. Programs that have changed their titles end
// it with many zeros, or have no zeros at all.
func splitArgs(line []byte) []string {
	line = bytes.TrimRight(line, "\x00 ")
	if len(line) == 0 {
		return nil
	}
	return strings.Split(string(line), "\x00")
}

// parseStat gives the program's name, which may have spaces and parentheses in it,
// and the parent's ID.
func parseStat(stat []byte) (name string, parent int) {
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from {
		return "", 0
	}
	if fields := strings.Fields(string(stat[to+1:])); len(fields) > 1 {
		parent, _ = strconv.Atoi(fields[1])
	}
	return string(stat[from+1 : to]), parent
}
