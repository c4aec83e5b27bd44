//go:build !linux

package discover

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/net"
	psutil "github.com/shirou/gopsutil/v4/process"
)

// stale is the age at which what is known of a process is asked for again.
const stale = 30 * time.Second

// scanner lists services again and again, and remembers whose they are. It is used
// by one goroutine.
type scanner struct {
	processes map[int]known
}

type known struct {
	process
	at time.Time
}

func (s *scanner) scan(ctx context.Context) ([]Service, error) {
	connections, err := net.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return nil, fmt.Errorf("looking for services: %w", err)
	}
	var listeners []listener
	for _, c := range connections {
		if c.Status != "LISTEN" {
			continue
		}
		addr, err := netip.ParseAddr(c.Laddr.IP)
		if err != nil {
			if c.Laddr.IP != "*" {
				continue
			}
			addr = netip.IPv4Unspecified()
		}
		listeners = append(listeners, listener{addr: addr, port: int(c.Laddr.Port), pid: int(c.Pid)})
	}
	now := time.Now()
	seen := map[int]known{}
	list := services(listeners, os.Getpid(), func(pid int) process {
		k, ok := s.processes[pid]
		if !ok || now.Sub(k.at) >= stale {
			k = known{readProcess(ctx, pid), now}
		}
		seen[pid] = k
		return k.process
	})
	s.processes = seen
	return list, ctx.Err()
}

// readProcess learns about a process, which may be gone, or another user's.
func readProcess(ctx context.Context, pid int) process {
	p := process{pid: pid}
	handle := &psutil.Process{Pid: int32(pid)} // unlike the constructor, asks for nothing yet
	p.name, _ = handle.NameWithContext(ctx)
	p.exe, _ = handle.ExeWithContext(ctx)
	p.args, _ = handle.CmdlineSliceWithContext(ctx)
	p.folder, _ = handle.CwdWithContext(ctx)
	if parent, err := handle.PpidWithContext(ctx); err == nil {
		p.parent = int(parent)
	}
	if p.exe != "" {
		p.name = filepath.Base(p.exe)
	}
	if runtime.GOOS == "windows" {
		p.name = strings.TrimSuffix(strings.TrimSuffix(p.name, ".exe"), ".EXE")
	}
	p.folder = strings.TrimSuffix(p.folder, string(filepath.Separator))
	if p.folder != "" && !filepath.IsAbs(p.folder) {
		p.folder = "" // such as "C:": a drive's root is no project
	}
	return p
}
