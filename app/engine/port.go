package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// New ports are taken from below the ranges from which systems take the ports of
// outgoing connections, so that none of those sits on ours at the next start.
const (
	firstPort = 20_000
	lastPort  = 31_999
	portTries = 50
)

// listen takes the first free one of: the wanted port, the remembered ones, and
// new ones. What it took is remembered.
func (b *builtIn) listen(ctx context.Context, lan bool, want int) (net.Listener, error) {
	host := "127.0.0.1"
	if lan {
		host = "0.0.0.0"
	}
	state, err := b.dir.State()
	if err := b.engine.reportState(err); err != nil {
		return nil, fmt.Errorf("starting the built-in relay: %w", err)
	}
	ports := state.BuiltInPorts
	if want != 0 {
		ports = append([]int{want}, ports...)
	}
	known := len(ports)
	for range portTries {
		ports = append(ports, firstPort+rand.IntN(lastPort-firstPort+1))
	}
	ports = append(ports, 0) // any that the system has
	var lc net.ListenConfig
	for i, port := range ports {
		var ln net.Listener
		if ln, err = lc.Listen(ctx, "tcp4", net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
			continue
		}
		if i >= known {
			taken := ln.Addr().(*net.TCPAddr).Port
			if err := b.engine.reportState(b.dir.RememberPort(taken)); err != nil {
				b.log.Warn("the port will be another one next time", "error", err)
			}
		}
		return ln, nil
	}
	return nil, fmt.Errorf("the built-in relay found no free port: %w", err)
}
