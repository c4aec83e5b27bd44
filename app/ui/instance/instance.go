// Package instance keeps one running program per config folder. The first launch
// listens on a unix socket in the folder; later ones hand it their flags and leave.
package instance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Launch is what a launch asks for: the flags of a second one.
type Launch struct {
	Open      []string `json:"open,omitempty"`
	Backend   string   `json:"backend,omitempty"`
	Minimized bool     `json:"minimized,omitempty"`
}

const (
	lockName   = "desktop.lock"
	socketName = "desktop.sock"

	maxLaunch = 64 << 10        // bytes of one hand-over
	patience  = 5 * time.Second // for one hand-over, on the side that receives
	// stubborn is how long a launch tries to reach or to replace a running program,
	// which may just be ending.
	stubborn = 15 * time.Second
	accepted = "ok\n"
)

// ErrHandedOver says that a running program has taken the flags: this one is done.
var ErrHandedOver = errors.New("handed over to the running program")

// Instance is the first program in its config folder.
type Instance struct {
	lock   *os.File
	ln     net.Listener
	path   string
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stop   sync.Once
}

// Claim makes this program the one of the folder, or hands the launch to the one
// that already is and returns ErrHandedOver.
func Claim(ctx context.Context, dir string, l Launch) (*Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, stubborn)
	defer cancel()
	for {
		inst, err := claim(dir)
		if err == nil || !errors.Is(err, errHeld) {
			return inst, err
		}
		// The holder may be between its lock and its socket, or on its way out.
		if err = handOver(ctx, dir, l); err == nil {
			return nil, ErrHandedOver
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("culvert-desktop is already running with the config folder %s, but does not answer; end it, then start again: %w", dir, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// errHeld says that another process holds the lock.
var errHeld = errors.New("held by another process")

// claim takes the lock first: only its holder may remove a socket file, so what a
// crashed program has left behind can be replaced without racing a living one.
func claim(dir string) (*Instance, error) {
	lock, err := acquire(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, socketName)
	ln, err := listen(dir, path)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("listening for further launches: %w", err)
	}
	inst := &Instance{lock: lock, ln: ln, path: path}
	inst.ctx, inst.cancel = context.WithCancel(context.Background())
	return inst, nil
}

func listen(dir, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	addr, release, err := address(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: addr, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // Close removes it by its real path
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// Serve calls handle for every further launch until Close, one at a time.
func (i *Instance) Serve(handle func(Launch)) {
	i.wg.Go(func() {
		for {
			conn, err := i.ln.Accept()
			if err != nil {
				if i.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
					return
				}
				// Out of file descriptors, most likely; that passes.
				select {
				case <-i.ctx.Done():
					return
				case <-time.After(100 * time.Millisecond):
					continue
				}
			}
			i.receive(conn, handle)
		}
	})
}

func (i *Instance) receive(conn net.Conn, handle func(Launch)) {
	defer conn.Close()
	stop := context.AfterFunc(i.ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxLaunch)).ReadBytes('\n')
	if err != nil {
		return
	}
	var l Launch
	if json.Unmarshal(line, &l) != nil {
		return
	}
	handle(l)
	_, _ = io.WriteString(conn, accepted) // a sender that has gone is no concern of ours
}

func handOver(ctx context.Context, dir string, l Launch) error {
	addr, release, err := address(dir)
	if err != nil {
		return err
	}
	defer release()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return err
	}
	answer := make([]byte, len(accepted))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != accepted {
		return fmt.Errorf("the running program answered %q", answer)
	}
	return nil
}

// Stop takes no further launches and waits for the one under way. The folder stays
// claimed: launches wait until this program has put everything away.
func (i *Instance) Stop() {
	i.stop.Do(func() {
		i.cancel()
		i.ln.Close()
		os.Remove(i.path)
	})
	i.wg.Wait()
}

// Close stops, and lets another program claim the folder.
func (i *Instance) Close() error {
	i.Stop()
	return i.lock.Close()
}
