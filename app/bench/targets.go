package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names of targets, as the tables have them.
const (
	direct     = "no tunnel"
	oneHop     = "one hop"
	twoHops    = "two hops"
	ourTunnel  = "Culvert"
	twoHopsTLS = "two hops, all in TLS"
	ourTLS     = "Culvert, all in TLS"
	linkPlain  = "Culvert, link without TLS"
	linkTLS    = "Culvert, link in TLS"
)

// target is something that visitors visit.
type target struct {
	name      string
	addr      string     // host and port for visitors
	prefix    string     // of its paths
	ca        string     // its certificate; "" is without TLS
	processes []*process // the tunnel
}

// fleet is all that is up at the same time, for one section.
type fleet struct {
	bench     *bench
	dir       string // of this fleet
	upstream  string // host and port of the local service
	processes []*process
	cert, key string // "" until somebody wants TLS
}

// withFleet calls f with the local service running, and ends everything that f has
// started.
func withFleet(ctx context.Context, b *bench, f func(*fleet) error) error {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return err
	}
	fl := &fleet{bench: b, dir: dir}
	defer fl.stop()
	if fl.upstream, err = fl.part(ctx, "local service", nil, "upstream"); err != nil {
		return err
	}
	return f(fl)
}

func (f *fleet) stop() {
	for _, p := range slices.Backward(f.processes) {
		p.stop()
	}
}

// start starts a program in a folder of its own.
func (f *fleet) start(ctx context.Context, name string, env []string, program string, args ...string) (*process, error) {
	dir, err := os.MkdirTemp(f.dir, "")
	if err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, name, dir, env, program, args...)
	if err == nil {
		f.processes = append(f.processes, p)
	}
	return p, err
}

// part starts this program as one of its parts. It adds the process to counted, if any,
// and gives where it listens.
func (f *fleet) part(ctx context.Context, name string, counted *target, args ...string) (string, error) {
	p, err := f.start(ctx, name, nil, f.bench.self, args...)
	if err != nil {
		return "", err
	}
	if counted != nil {
		counted.processes = append(counted.processes, p)
	}
	at, err := p.awaitAddresses(1)
	if err != nil {
		return "", err
	}
	return at[0], nil
}

func (f *fleet) direct() *target { return &target{name: direct, addr: f.upstream} }

// hops is so many proxies in a row.
func (f *fleet) hops(ctx context.Context, name string, n int, secure bool) (*target, error) {
	t := &target{name: name}
	to, args := "http://"+f.upstream, []string{}
	if secure {
		if err := f.certificate(); err != nil {
			return nil, err
		}
		t.ca = f.cert
		args = []string{"-cert", f.cert, "-key", f.key}
	}
	for i := range n {
		at, err := f.part(ctx, name, t, append([]string{"hop", "-to", to}, args...)...)
		if err != nil {
			return nil, err
		}
		t.addr, to = at, "http://"+at
		if secure && i == 0 {
			args = append(args, "-ca", f.cert)
		}
		if secure {
			to = "https://" + at
		}
	}
	return t, nil
}

// culvert is the real thing: a relay and an agent.
func (f *fleet) culvert(ctx context.Context, name string, secure bool) (*target, error) {
	var args []string
	if secure {
		if err := f.certificate(); err != nil {
			return nil, err
		}
		args = []string{"--tls-cert", f.cert, "--tls-key", f.key}
	}
	relay, t, err := f.relay(ctx, name, nil, args...)
	if err != nil {
		return nil, err
	}
	backend := "http://" + t.addr
	if secure {
		backend, t.ca = "https://"+t.addr, f.cert
	}
	agent, err := f.agent(ctx, name, backend, tunnelName(0))
	if err != nil {
		return nil, err
	}
	t.prefix, t.processes = "/"+tunnelName(0), []*process{relay, agent}
	return t, nil
}

// relay starts `culvert relay`.
func (f *fleet) relay(ctx context.Context, name string, env []string, args ...string) (*process, *target, error) {
	p, err := f.start(ctx, name+": relay", env, f.bench.culvert, append([]string{"relay", "--listen", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, nil, err
	}
	t := &target{name: name}
	err = p.await(patience, "where it listens", func(line string) (ok bool) {
		t.addr, ok = relayAddress(line)
		return ok
	})
	if err != nil {
		return nil, nil, err
	}
	p.discard()
	t.processes = []*process{p}
	return p, t, nil
}

// relayAddress reads the line that `culvert relay` begins with.
func relayAddress(line string) (addr string, ok bool) {
	rest, ok := strings.CutPrefix(line, "culvert relay listens on ")
	addr, _, _ = strings.Cut(rest, ",")
	return addr, ok
}

// agent starts `culvert http --json`, whose log is read and thrown away.
func (f *fleet) agent(ctx context.Context, name, backend, tunnel string) (*process, error) {
	_, port, _ := strings.Cut(f.upstream, ":")
	args := []string{"http", port, "--backend", backend, "--name", tunnel, "--json"}
	if f.cert != "" && strings.HasPrefix(backend, "https:") {
		args = append(args, "--ca-file", f.cert)
	}
	p, err := f.start(ctx, name+": agent", nil, f.bench.culvert, args...)
	if err != nil {
		return nil, err
	}
	if err := p.await(patience, "that it is online", online); err != nil {
		return nil, err
	}
	p.discard()
	return p, nil
}

// online recognises the line of the log that says so.
func online(line string) bool {
	var event struct{ Event string }
	return json.Unmarshal([]byte(line), &event) == nil && event.Event == "online"
}

// crowd is a relay with many tunnels, which one process holds.
func (f *fleet) crowd(ctx context.Context, name string, tunnels int, env []string) (*target, error) {
	_, t, err := f.relay(ctx, name, env)
	if err != nil {
		return nil, err
	}
	p, err := f.start(ctx, name+": agents", nil, f.bench.self, "agents", "-backend", "http://"+t.addr, "-target", f.upstream, "-count", strconv.Itoa(tunnels))
	if err != nil {
		return nil, err
	}
	t.processes = append(t.processes, p)
	n := 0
	limit := patience + 2*handshakeEvery*time.Duration(max(0, tunnels-handshakeBurst))
	if err := p.await(limit, fmt.Sprintf("that all %d tunnels are online", tunnels), func(line string) bool {
		if online(line) {
			n++
		}
		return n == tunnels
	}); err != nil {
		return nil, fmt.Errorf("%w; %d are%s", err, n, t.complaints())
	}
	p.discard()
	return t, nil
}
