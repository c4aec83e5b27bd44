// Package program fetches and runs the programs of others that are parts of the local
// AWS. None of them may or should be a part of Culvert: each is fetched once, by the
// client of the registry that it is published in, verified, and kept in the user's
// cache folder. What runs ends with this process, however that ends, where the system
// can have it so.
package program

import (
	"fmt"
	"os/exec"
	"sync"
	"time"
)

const stopTimeout = 5 * time.Second

// Process is a program that runs.
type Process struct {
	name    string
	cmd     *exec.Cmd
	said    *Tail
	stop    sync.Once
	exited  chan struct{} // closed once the process has ended
	err     error         // how, when it was not Close; valid then
	closing chan struct{}
}

// Start starts a program, whose name is for errors. It may write to cmd.Stdout, which
// is told said's text as well.
func Start(name string, cmd *exec.Cmd, said *Tail) (*Process, error) {
	p := &Process{name: name, cmd: cmd, said: said, exited: make(chan struct{}), closing: make(chan struct{})}
	if err := StartTied(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go p.wait()
	return p, nil
}

// Exited is closed when the program has ended, by Close or by itself.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// HasExited reports whether Exited is closed.
func (p *Process) HasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Err says how the program ended by itself, once Exited is closed.
func (p *Process) Err() error {
	if !p.HasExited() {
		return nil
	}
	return p.err
}

// PID is the process's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Close stops the program and waits for its end. What it held is gone.
func (p *Process) Close() {
	p.stop.Do(func() {
		close(p.closing)
		askToStop(p.cmd.Process)
		timer := time.NewTimer(stopTimeout)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
			p.cmd.Process.Kill()
		}
	})
	<-p.exited
}

// Kill ends the program at once, as if it had crashed.
func (p *Process) Kill() { p.cmd.Process.Kill() }

func (p *Process) wait() {
	err := p.cmd.Wait()
	select {
	case <-p.closing:
	default:
		p.err = fmt.Errorf("%s has ended (%s)%s", p.name, exitText(err), p.said.Quote())
	}
	close(p.exited)
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
