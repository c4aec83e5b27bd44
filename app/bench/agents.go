package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"culvert/app/config"
	"culvert/app/console"
	"culvert/app/engine"
	services "culvert/app/target"
)

// A relay takes so many handshakes from one address at once, and so many a second after
// that (relay.Limits.HandshakesPerSecondFromIP). Agents that keep to it are not sent away
// to try later.
const (
	handshakeBurst = 45
	handshakeEvery = time.Second / 9
)

// agentsPart holds many tunnels in one process: for each what `culvert http --json` is
// made of, an engine's tunnel and JSON lines on standard output. A thousand processes
// would measure the machine's memory.
func agentsPart(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("agents", flag.ContinueOnError)
	backend := f.String("backend", "", "URL of the relay")
	local := f.String("target", "", "the local service")
	count := f.Int("count", 1, "how many tunnels")
	if err := f.Parse(args); err != nil {
		return err
	}
	to, err := url.Parse(*backend)
	if err != nil {
		return err
	}
	service, err := services.Parse(*local)
	if err != nil {
		return err
	}
	own, err := os.Getwd() // each process has been given a folder of its own
	if err != nil {
		return err
	}
	var all crowdOfAgents
	defer func() { err = errors.Join(err, all.close()) }()
	pace := time.NewTicker(handshakeEvery)
	defer pace.Stop()
	for i := range *count {
		if i%engine.MaxTunnels == 0 { // as many as an engine takes, and a relay from one owner
			if err := all.add(filepath.Join(own, fmt.Sprint(i))); err != nil {
				return err
			}
		}
		if i >= handshakeBurst {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return nil
			}
		}
		if err := all.open(engine.Spec{Target: service, Backend: to, Name: tunnelName(i)}); err != nil {
			return err
		}
	}
	announce(ctx)
	return nil
}

// tunnelName is the ID of the i-th tunnel.
func tunnelName(i int) string { return fmt.Sprintf("bench-%04d", i) }

// crowdOfAgents is engines with a console for each tunnel.
type crowdOfAgents struct {
	engines  []*engine.Engine
	consoles []console.Console
}

func (c *crowdOfAgents) add(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	dir, err := config.Open(folder)
	if err != nil {
		return err
	}
	views := make(map[string]console.Console)
	for i := range engine.MaxTunnels { // an engine counts its tunnels from 1
		view := console.NewJSON(os.Stdout, "bench", nil)
		views[fmt.Sprint(i+1)] = view
		c.consoles = append(c.consoles, view)
	}
	eng, err := engine.New(engine.Config{Dir: dir, OnEvent: func(event engine.Event) {
		switch e := event.(type) {
		case engine.StatusChanged:
			views[e.Tunnel.Key()].Show(e)
		case engine.RequestDone:
			views[e.Tunnel.Key()].Show(e)
		}
	}})
	if err != nil {
		return err
	}
	c.engines = append(c.engines, eng)
	return nil
}

func (c *crowdOfAgents) open(spec engine.Spec) error {
	_, err := c.engines[len(c.engines)-1].Open(spec)
	return err
}

func (c *crowdOfAgents) close() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, eng := range c.engines {
		err = errors.Join(err, eng.Close(ctx))
	}
	for _, view := range c.consoles {
		view.Lines().Close(ctx)
	}
	return err
}
