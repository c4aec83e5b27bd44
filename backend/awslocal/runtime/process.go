package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	goruntime "runtime"
	"sync"
	"time"
)

// process is an environment that is a process of the bootstrap program, with a runtime
// API of its own.
//
//	started ──next──▶ idle ──work──▶ busy ──next──▶ idle …
//	    │               └─ frozen while it rests       │
//	    └───────────────── exit, kill ─────────────────┴──▶ gone
type process struct {
	cfg  *Config
	name string
	cmd  *exec.Cmd
	end  context.CancelFunc

	work    chan *invocation // taken by the call for the next invocation
	inited  chan struct{}    // closed by the first such call
	exited  chan struct{}
	exitErr error         // valid once exited is closed
	cleaned chan struct{} // closed when nothing of it is left

	mu       sync.Mutex
	closed   bool // the API takes no more calls
	calls    sync.WaitGroup
	asking   bool
	ready    bool // inited is closed
	current  *invocation
	initErr  []byte        // what the program said about a failed start
	initFail chan struct{} // closed with it
}

// initError is why an environment did not start.
type initError struct {
	payload []byte // in the program's own words, or nil
	reason  string
}

func (e *initError) Error() string { return e.reason }

// initFailure words a failed start as the answer to an invocation.
func initFailure(requestID string, err error) Result {
	var failed *initError
	switch {
	case !errors.As(err, &failed):
		return failure("Runtime.InvalidEntrypoint", fmt.Sprintf("RequestId: %s Error: %v", requestID, err))
	case failed.payload != nil:
		return Result{Payload: failed.payload, FunctionError: unhandled}
	}
	return failure("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: %s", requestID, failed.reason))
}

// startProcess starts the program and waits until it asks for its first invocation.
func startProcess(ctx context.Context, cfg *Config, name string) (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("runtime API: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	p := &process{cfg: cfg, name: name, end: end,
		work: make(chan *invocation), inited: make(chan struct{}), initFail: make(chan struct{}),
		exited: make(chan struct{}), cleaned: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, cfg.Bootstrap)
	p.cmd.Dir = cfg.environ(name)["LAMBDA_TASK_ROOT"]
	p.cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String()}
	for k, v := range cfg.environ(name) {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	p.cmd.SysProcAttr = sysProcAttr()
	// A stopped process hears of the end only once it runs again.
	p.cmd.Cancel = func() error {
		terminate(p.cmd.Process)
		thaw(p.cmd.Process)
		return nil
	}
	p.cmd.WaitDelay = shutdownTimeout
	stdout := &lines{emit: func(text string) { cfg.Log(Line{cfg.Name, name, false, text}) }}
	stderr := &lines{emit: func(text string) { cfg.Log(Line{cfg.Name, name, true, text}) }}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr

	started := make(chan error)
	go func() {
		defer close(p.cleaned)
		defer end()
		// The kernel sends the signal that keeps orphans from living (Pdeathsig) when
		// the thread that started the process ends: it must live as long.
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		if err := p.cmd.Start(); err != nil {
			listener.Close()
			started <- err
			return
		}
		stopAPI := p.serve(listener)
		started <- nil
		p.exitErr = p.cmd.Wait()
		kill(p.cmd.Process) // children that it left
		stdout.flush()
		stderr.flush()
		close(p.exited)
		stopAPI()
	}()
	if err := <-started; err != nil {
		<-p.cleaned
		return nil, fmt.Errorf("cannot start %s: %w", cfg.Bootstrap, err)
	}
	if err := p.awaitInit(); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *process) awaitInit() error {
	timer := time.NewTimer(p.cfg.InitTimeout)
	defer timer.Stop()
	select {
	case <-p.inited:
		return nil
	case <-timer.C:
		kill(p.cmd.Process)
		return &initError{reason: fmt.Sprintf("Init timed out after %.2f seconds", p.cfg.InitTimeout.Seconds())}
	case <-p.initFail:
		return &initError{payload: p.initErr, reason: "the program could not start"}
	case <-p.exited:
	}
	select {
	case <-p.initFail: // said, and exited at once
		return &initError{payload: p.initErr, reason: "the program could not start"}
	default:
		return &initError{reason: p.exitReason()}
	}
}

// exitReason may be called once exited is closed.
func (p *process) exitReason() string {
	if p.exitErr == nil {
		return "Runtime exited without providing a reason"
	}
	return "Runtime exited with error: " + p.exitErr.Error()
}

func (p *process) invoke(inv *invocation) ending {
	thaw(p.cmd.Process)
	inv.deadline = time.Now().Add(p.cfg.Timeout)
	timer := time.NewTimer(p.cfg.Timeout)
	defer timer.Stop()
	work := p.work
	for {
		select {
		case work <- inv:
			work = nil
		case <-inv.over:
			if complete, _, _ := inv.state(); !complete {
				return ending{outcome: Failed, instead: failure("Runtime.NoResponse",
					fmt.Sprintf("RequestId: %s Error: the runtime asked for the next invocation without answering this one", inv.RequestID))}
			}
			return ending{outcome: Succeeded}
		case <-p.exited:
			return ending{outcome: Crashed, instead: failure("Runtime.ExitError",
				fmt.Sprintf("RequestId: %s Error: %s", inv.RequestID, p.exitReason()))}
		case <-timer.C:
			kill(p.cmd.Process)
			<-p.exited
			return timedOut(inv, p.cfg.Timeout)
		}
	}
}

func timedOut(inv *invocation, after time.Duration) ending {
	return ending{outcome: TimedOut, err: ErrTimeout, instead: failure("Sandbox.Timedout",
		fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", inv.RequestID, after.Seconds()))}
}

func (p *process) rest()                 { freeze(p.cmd.Process) }
func (p *process) gone() <-chan struct{} { return p.exited }

func (p *process) stop() {
	p.end()
	<-p.cleaned
}
