package runtime

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"culvert/backend/awslocal/clock"
)

// Lambda is a function with its environments: none before the first invocation, and as
// many as invocations run at once.
type Lambda struct {
	cfg    Config
	slots  *slots
	launch func(ctx context.Context, name string) (environment, error)

	ctx  context.Context // ends when the function is stopped
	end  context.CancelFunc
	work sync.WaitGroup

	queued chan struct{} // bounds asynchronous invocations

	mu      sync.Mutex
	stopped bool
	idle    []*resident // the latest used last: Lambda takes that one first
	all     map[*resident]struct{}
}

// environment runs invocations, one at a time.
type environment interface {
	// invoke returns when the environment is ready for the next invocation, or is gone.
	invoke(inv *invocation) ending
	// rest freezes the environment until the next invoke.
	rest()
	// gone is closed once the environment is no more.
	gone() <-chan struct{}
	// stop ends it and waits for that.
	stop()
}

// ending is how an invocation ended, for a caller who has no answer yet.
type ending struct {
	outcome Outcome
	instead Result
	err     error
}

// resident is an environment with what the pool knows of it.
type resident struct {
	environment
	name   string
	retire clock.Timer // runs while it is idle
}

var (
	_ Function = (*Lambda)(nil)
	_ Streamer = (*Lambda)(nil)
)

// New makes a function of the program c.Bootstrap. Nothing is started before the first
// invocation. Stop it when done.
func New(c Config) (*Lambda, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := c.checkBootstrap(); err != nil {
		return nil, fmt.Errorf("function %s: %w", c.Name, err)
	}
	l, err := newLambda(c)
	if err != nil {
		return nil, err
	}
	l.launch = func(ctx context.Context, name string) (environment, error) {
		return startProcess(ctx, &l.cfg, name)
	}
	return l, nil
}

const maxQueued = 1000

func newLambda(c Config) (*Lambda, error) {
	s, err := newSlots(c.Account, c.Reserved)
	if err != nil {
		return nil, fmt.Errorf("function %s: %w", c.Name, err)
	}
	l := &Lambda{cfg: c, slots: s, queued: make(chan struct{}, maxQueued), all: make(map[*resident]struct{})}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l, nil
}

// Name is the function's name.
func (l *Lambda) Name() string { return l.cfg.Name }

// ARN is the function's ARN.
func (l *Lambda) ARN() string { return l.cfg.arn() }

// Credentials are those that the function's environments have.
func (l *Lambda) Credentials() Credentials { return l.cfg.Credentials }

// Environments counts those that run, frozen ones included.
func (l *Lambda) Environments() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// Invoke runs the function and waits until its environment is ready for the next
// invocation, as one who calls again at once would otherwise find it busy.
func (l *Lambda) Invoke(ctx context.Context, payload []byte) (Result, error) {
	inv, err := l.admit(ctx, payload, false)
	if err != nil {
		return Result{}, err
	}
	select {
	case <-inv.done:
		return inv.result, inv.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// InvokeStream runs the function and waits for its answer to begin. After that, ctx
// matters no more: close the body.
func (l *Lambda) InvokeStream(ctx context.Context, payload []byte) (Head, io.ReadCloser, error) {
	inv, err := l.admit(ctx, payload, true)
	if err != nil {
		return Head{}, nil, err
	}
	select {
	case head := <-inv.began:
		return head, inv.body, nil
	case <-inv.done:
	case <-ctx.Done():
		inv.body.Close()
		return Head{}, nil, ctx.Err()
	}
	select {
	case head := <-inv.began: // and was over as quickly: the body has the rest
		return head, inv.body, nil
	default:
	}
	inv.body.Close()
	if inv.err != nil {
		return Head{}, nil, inv.err
	}
	return Head{}, nil, &FunctionError{Payload: inv.result.Payload}
}

// admit starts an invocation if there is concurrency for it.
func (l *Lambda) admit(ctx context.Context, payload []byte, streamed bool) (*invocation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(payload) > MaxRequest {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrTooLarge, len(payload), MaxRequest)
	}
	call, _ := ctx.Value(callKey{}).(Call)
	inv := newInvocation(call, payload, streamed)
	err := l.begin(inv)
	if err == ErrThrottled {
		l.cfg.Observe(Report{Function: l.cfg.Name, RequestID: inv.RequestID, Outcome: Throttled,
			MemoryMB: l.cfg.MemoryMB, In: int64(len(payload)), Streamed: streamed})
	}
	return inv, err
}

func (l *Lambda) begin(inv *invocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return ErrStopped
	}
	if !l.slots.acquire() {
		return ErrThrottled
	}
	l.work.Go(func() { l.run(inv) })
	return nil
}

// run takes an invocation through an environment.
func (l *Lambda) run(inv *invocation) {
	report := Report{Function: l.cfg.Name, RequestID: inv.RequestID, MemoryMB: l.cfg.MemoryMB,
		In: int64(len(inv.payload)), Streamed: inv.streamed}
	r := l.take()
	if r == nil {
		began := time.Now()
		var end ending
		if r, end = l.start(inv); r == nil {
			report.Init, report.Outcome = time.Since(began), end.outcome
			l.slots.release()
			l.cfg.Observe(report)
			inv.finish(end.instead, end.err)
			return
		}
		report.Init = time.Since(began)
	}
	report.Environment = r.name
	began := time.Now()
	end := r.invoke(inv)
	report.Duration = time.Since(began)
	complete, failed, out := inv.state()
	if report.Outcome, report.Out = end.outcome, out; end.outcome == Succeeded && failed {
		report.Outcome = Failed
	}
	if l.ctx.Err() != nil && (!complete || failed) {
		// It failed because it was stopped, whatever it says itself.
		inv.revoke()
		end.instead, end.err = Result{}, ErrStopped
	}
	l.settle(r)
	l.slots.release()
	l.cfg.Observe(report)
	inv.finish(end.instead, end.err)
}

// take returns an idle environment, if there is one.
func (l *Lambda) take() *resident {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.idle) > 0 {
		last := len(l.idle) - 1
		r := l.idle[last]
		l.idle = l.idle[:last]
		r.retire.Stop()
		select {
		case <-r.gone():
			l.discard(r)
		default:
			return r
		}
	}
	return nil
}

// start makes an environment for inv. Lambda would try a failed one once more; here
// the first failure is told, as it would happen again.
func (l *Lambda) start(inv *invocation) (*resident, ending) {
	name := fmt.Sprintf("%s/[$LATEST]%x", time.Now().UTC().Format("2006/01/02"), random(16))
	env, err := l.launch(l.ctx, name)
	if err != nil {
		if l.ctx.Err() != nil {
			return nil, ending{outcome: InitFailed, err: ErrStopped}
		}
		return nil, ending{outcome: InitFailed, instead: initFailure(inv.RequestID, err)}
	}
	r := &resident{environment: env, name: name}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[r] = struct{}{}
	return r, ending{}
}

// settle puts an environment by for the next invocation, or forgets a dead one.
func (l *Lambda) settle(r *resident) {
	select {
	case <-r.gone():
	default:
		if !l.cfg.KeepRunning {
			r.rest()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-r.gone():
		l.discard(r)
		return
	default:
	}
	if l.stopped {
		l.discard(r)
		return
	}
	l.idle = append(l.idle, r)
	r.retire = l.cfg.Clock.AfterFunc(l.cfg.IdleAfter, func() { l.retire(r) })
}

// discard has an environment stopped in the background. l.mu is held.
func (l *Lambda) discard(r *resident) {
	delete(l.all, r)
	l.work.Go(r.stop)
}

// retire ends an environment that is still idle.
func (l *Lambda) retire(r *resident) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.idle, r); i >= 0 && !l.stopped {
		l.idle = slices.Delete(l.idle, i, i+1)
		l.discard(r)
	}
}

// Recycle ends the idle environments, so that the next invocation meets a cold start,
// and waits for them.
func (l *Lambda) Recycle() {
	l.mu.Lock()
	idle := l.idle
	l.idle = nil
	for _, r := range idle {
		r.retire.Stop()
		delete(l.all, r)
	}
	l.work.Add(1)
	l.mu.Unlock()
	defer l.work.Done()
	stopAll(idle)
}

func stopAll(residents []*resident) {
	var wg sync.WaitGroup
	for _, r := range residents {
		wg.Go(r.stop)
	}
	wg.Wait()
}

// Stop ends the function: invocations that run fail with ErrStopped, environments are
// told to end and killed if they don't. It returns when nothing is left.
func (l *Lambda) Stop() {
	l.mu.Lock()
	first := !l.stopped
	l.stopped = true
	idle := l.idle
	l.idle = nil
	for _, r := range idle {
		r.retire.Stop()
		delete(l.all, r)
	}
	l.mu.Unlock()
	l.end()
	stopAll(idle)
	l.work.Wait()
	if first {
		l.slots.giveBack()
	}
}
