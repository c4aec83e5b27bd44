package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// patience bounds the wait for a window.
const patience = 2 * time.Minute

// window is a program that shows one.
type window struct {
	cmd    *exec.Cmd
	folder string
	shown  time.Duration // from its start to its first frame
}

// background is what the window shows in its middle, in the dark theme.
const background = 0x16181d

// show starts a program and waits until it has painted.
func show(ctx context.Context, program string, args ...string) (*window, error) {
	folder, err := os.MkdirTemp("", "culvert-bench-")
	if err != nil {
		return nil, err
	}
	w := &window{cmd: exec.CommandContext(ctx, program, args...), folder: folder}
	w.cmd.Env = append(os.Environ(), "HOME="+folder, "CULVERT_CONFIG_DIR="+folder, "FYNE_THEME=dark", "LANGUAGE=en")
	w.cmd.Stderr = os.Stderr
	w.cmd.Cancel = func() error { return w.cmd.Process.Signal(syscall.SIGTERM) }
	s, err := openScreen()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	defer s.Close()
	begin := time.Now()
	if err := w.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for time.Since(begin) < patience && ctx.Err() == nil {
		if colour, err := s.pixel(700, 700); err != nil {
			return nil, errors.Join(err, w.close())
		} else if colour == background {
			w.shown = time.Since(begin)
			return w, nil
		}
		<-ticker.C
	}
	return nil, errors.Join(fmt.Errorf("%s showed no window", program), w.close())
}

// close ends the program and takes its folder away.
func (w *window) close() error {
	err := w.cmd.Process.Signal(syscall.SIGTERM)
	_ = w.cmd.Wait() // how it ended is not what is measured
	return errors.Join(err, os.RemoveAll(w.folder))
}

func measureStart(ctx context.Context, o options, r *report) error {
	var all []time.Duration
	for range o.starts {
		w, err := show(ctx, o.desktop)
		if err != nil {
			return err
		}
		all = append(all, w.shown)
		if err := w.close(); err != nil {
			return err
		}
		if err := cleared(ctx); err != nil {
			return err
		}
	}
	slices.Sort(all)
	r.Start.Median, r.Start.Worst = all[len(all)/2], all[len(all)-1]
	return nil
}

// cleared waits until the last window has gone from the screen.
func cleared(ctx context.Context) error {
	s, err := openScreen()
	if err != nil {
		return err
	}
	defer s.Close()
	for ctx.Err() == nil {
		if colour, err := s.pixel(700, 700); err != nil || colour != background {
			return err
		}
		time.Sleep(5 * time.Millisecond) // polling, until the server has drawn what is beneath
	}
	return ctx.Err()
}

// measureIdle watches the program with two tunnels online, then an empty window for
// as long.
func measureIdle(ctx context.Context, o options, r *report) error {
	var args []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(ln) }()
		defer server.Close()
		args = append(args, "--open", strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
	}
	var err error
	if r.Idle.CPU, r.Idle.RSS, err = watch(ctx, o, o.desktop, args...); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r.Idle.EmptyCPU, r.Idle.EmptyRSS, err = watch(ctx, o, self, "-inside", "empty")
	return err
}

// settling is how long a program may take to open its tunnels and come to rest.
const settling = 10 * time.Second

func watch(ctx context.Context, o options, program string, args ...string) (cpu float64, rss int64, err error) {
	w, err := show(ctx, program, args...)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = cmp.Or(err, w.close(), cleared(ctx)) }()
	pid := w.cmd.Process.Pid
	if err := rest(ctx, settling); err != nil {
		return 0, 0, err
	}
	before, err := cpuTime(pid)
	if err != nil {
		return 0, 0, err
	}
	if err := rest(ctx, o.idle); err != nil {
		return 0, 0, err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return 0, 0, err
	}
	rss, err = resident(pid)
	return (after - before).Seconds() / o.idle.Seconds(), rss, err
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
