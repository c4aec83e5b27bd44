package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"culvert/app/session"
)

// When a prober looks by itself. A look at the URL is a request to the backend, which
// API Gateway charges for; one at the service is a connection on this machine.
const (
	serviceEvery = 5 * time.Second // while somebody watches, at the most
	urlEvery     = 5 * time.Minute // likewise
	// urlAgain is when a URL that gave no answer is looked at once more: after a wake-up
	// the network may not be back yet.
	urlAgain     = 15 * time.Second
	serviceGap   = time.Second     // at least between two looks, whatever happens
	urlGap       = 5 * time.Second // likewise, unless a person asks
	probeTimeout = 10 * time.Second
)

// errNoAnswer is what an error wraps if nobody has answered.
var errNoAnswer = errors.New("no answer")

// probeConfig is how a prober looks and whom it tells.
type probeConfig struct {
	// service and url look, and give the time that it took. Errors are for people.
	service, url func(context.Context) (time.Duration, error)
	// tell is called by the goroutine in run when a light has changed, after every look
	// at the URL, and after retarget.
	tell func()
	// unasked: look also when no person has asked.
	unasked bool
}

// prober keeps a tunnel's lights. It looks at one leg at a time once, and both at the
// same time.
type prober struct {
	cfg  probeConfig
	wake chan struct{} // has room for one: something was asked for, or has changed

	mu      sync.Mutex
	lights  Lights
	news    bool // tell is to be called
	watched bool
	online  bool // the URL leads somewhere
	running bool // the tunnel is not stopped, and was not refused
	service look
	url     look
}

// look is one leg's looking.
type look struct {
	asked  bool               // and not begun
	person bool               // a person has asked
	due    time.Time          // when it may begin
	again  bool               // a second look for want of an answer is due or was the last one
	begun  time.Time          // the last one
	jitter float64            // of the time to the next, so that many tunnels do not look at once
	about  int                // what is looked at; another number after every change
	stop   context.CancelFunc // of the look under way; nil if none is
}

// asked is a wish to have a look.
type asked struct{ service, url, person bool }

func newProber(cfg probeConfig) *prober {
	return &prober{cfg: cfg, wake: make(chan struct{}, 1)}
}

// state is what the lights show at this moment.
func (p *prober) state() Lights {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lights
}

func (p *prober) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// ask wants a look soon. Without Config.Lights only a person can.
func (p *prober) ask(a asked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want(a)
	p.wakeUp()
}

// want needs mu.
func (p *prober) want(a asked) {
	if !p.cfg.unasked && !a.person {
		return
	}
	if a.service {
		p.service.want(a.person, serviceGap)
		p.checking(&p.lights.Service, a.person)
	}
	switch {
	case !a.url:
	case p.online:
		p.url.want(a.person, urlGap)
		p.checking(&p.lights.URL, a.person)
	default:
		p.set(&p.lights.URL, Light{State: Waits})
	}
}

func (l *look) want(person bool, gap time.Duration) {
	due := l.begun.Add(gap)
	if person || l.begun.IsZero() {
		due = time.Time{}
	}
	if !l.asked || due.Before(l.due) {
		l.due = due
	}
	l.asked, l.person, l.again = true, l.person || person, false
}

// checking shows that there is a look, if nothing is known or a person waits for it.
func (p *prober) checking(light *Light, person bool) {
	if person || light.State == Unknown || light.State == Waits {
		p.set(light, Light{State: Checking})
	}
}

// set needs mu.
func (p *prober) set(light *Light, to Light) {
	if light.State != to.State || light.Cause != to.Cause {
		p.news = true
	}
	*light = to
}

// watch says whether somebody looks at the lights. What is old is looked at anew.
func (p *prober) watch(watched bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = watched
	p.wakeUp()
}

// link follows the session's state.
func (p *prober) link(s session.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.online = s.State == session.Online
	p.running = s.State != session.Stopped && s.State != session.Refused
	switch {
	case p.online:
		p.want(asked{service: true, url: true})
	case s.State == session.Stopped:
		p.forget(&p.service, &p.lights.Service, Unknown)
		p.forget(&p.url, &p.lights.URL, Unknown)
	default:
		p.forget(&p.url, &p.lights.URL, Waits)
		if s.State == session.Connecting {
			p.want(asked{service: true})
		}
	}
	p.wakeUp()
}

// doubt wants a look at everything, if the tunnel is in use.
func (p *prober) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		p.want(asked{service: true, url: p.online})
		p.wakeUp()
	}
}

// forget gives up a look, and what was known. It needs mu.
func (p *prober) forget(l *look, light *Light, state LightState) {
	l.about++
	l.asked, l.person, l.again = false, false, false
	if l.stop != nil {
		l.stop()
	}
	p.set(light, Light{State: state})
}

// retarget says that there is another service, and a URL that is the same or not.
func (p *prober) retarget(sameURL bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(&p.service, &p.lights.Service, Unknown)
	if p.running {
		p.service.begun = time.Time{}
		p.want(asked{service: true})
	}
	if !sameURL {
		p.online = false
		state := Unknown
		if p.running {
			state = Waits
		}
		p.forget(&p.url, &p.lights.URL, state)
	}
	p.news = true
	p.wakeUp()
}

// run looks until ctx ends, and then waits for the looks under way.
func (p *prober) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var looks sync.WaitGroup
	defer looks.Wait()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		p.mu.Lock()
		now := time.Now()
		service, url := p.plans(now)
		next := time.Time{}
		for _, leg := range []struct {
			look    *look
			light   *Light
			planned time.Time
			see     func(context.Context) (time.Duration, error)
		}{{&p.service, &p.lights.Service, service, p.cfg.service}, {&p.url, &p.lights.URL, url, p.cfg.url}} {
			l := leg.look
			due := leg.planned
			if l.asked && (due.IsZero() || l.due.Before(due)) {
				due = l.due
			}
			switch {
			case l.stop != nil: // it wakes us when it is over
			case due.IsZero() && !l.asked:
			case now.Before(due):
				if next.IsZero() || due.Before(next) {
					next = due
				}
			default:
				l.asked, l.person, l.begun, l.jitter = false, false, now, 1+0.2*rand.Float64()
				about := l.about
				var looking context.Context
				looking, l.stop = context.WithTimeout(ctx, probeTimeout)
				looks.Go(func() {
					rtt, err := leg.see(looking)
					p.seen(l, leg.light, about, rtt, err)
				})
			}
		}
		news := p.news
		p.news = false
		p.mu.Unlock()
		if news {
			p.cfg.tell()
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// plans are the next looks that nobody has asked for; zero is none. It needs mu.
func (p *prober) plans(now time.Time) (service, url time.Time) {
	if !p.cfg.unasked {
		return service, url
	}
	if p.watched && p.running {
		service = p.service.next(now, serviceEvery)
	}
	switch {
	case !p.online:
	case p.url.again:
		url = p.url.next(now, urlAgain)
	case p.watched:
		url = p.url.next(now, urlEvery)
	}
	return service, url
}

// next is when a look is due that comes about so often.
func (l *look) next(now time.Time, every time.Duration) time.Time {
	if l.begun.IsZero() {
		return now
	}
	return l.begun.Add(time.Duration(float64(every) * l.jitter))
}

// seen notes what came of a look.
func (p *prober) seen(l *look, light *Light, about int, rtt time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wakeUp()
	l.stop()
	l.stop = nil
	if l.about != about {
		return // it was about something else
	}
	found := Light{State: Up, RTT: rtt, At: time.Now()}
	if err != nil {
		found.State, found.Cause, found.RTT = Down, err.Error(), 0
	}
	p.set(light, found)
	if l == &p.url {
		p.news = true
		l.again = !l.again && isSilent(err)
	}
}
