// Command culvert-desktop is the tray application: it opens tunnels from a window
// and from the tray, and shows the requests that pass.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"culvert/app/config"
	"culvert/app/ui/instance"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	err := run(os.Args[1:])
	var usage usageError
	switch {
	case err == nil:
		os.Exit(exitOK)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "culvert-desktop: %v\nrun \"culvert-desktop --help\" to see how to call it\n", err)
		os.Exit(exitUsage)
	default:
		fmt.Fprintf(os.Stderr, "culvert-desktop: %v\n", err)
		os.Exit(exitFailed)
	}
}

// closing bounds the goodbye to backends and visitors, and to the disk.
const closing = 10 * time.Second

func run(args []string) (err error) {
	signals, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	f, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := config.Open(f.Config)
	if err != nil {
		return err
	}
	inst, err := instance.Claim(signals, dir.Path(), f.launch())
	if errors.Is(err, instance.ErrHandedOver) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inst.Close()) }()
	if err := needDisplay(); err != nil {
		return err
	}
	p, err := newProgram(f, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return p.show(signals, inst)
}
