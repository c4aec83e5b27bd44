package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/session"
)

// legs are a service and a URL as a test wants them.
type legs struct {
	mu              sync.Mutex
	serviceErr      error
	urlErr          error
	takes           time.Duration
	services, urls  []time.Duration // when they were looked at, since the start
	underway, worst int
	start           time.Time
	told            int
}

func (l *legs) look(at *[]time.Duration, err *error) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		l.mu.Lock()
		*at = append(*at, time.Since(l.start))
		l.underway++
		l.worst = max(l.worst, l.underway)
		takes := l.takes
		l.mu.Unlock()
		select {
		case <-time.After(takes):
		case <-ctx.Done():
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.underway--
		if ctx.Err() != nil {
			return 0, fmt.Errorf("late%w", silent{ctx.Err()})
		}
		return takes, *err
	}
}

func (l *legs) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// counts gives how often both were looked at since the last call.
func (l *legs) counts() (services, urls int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	services, urls = len(l.services), len(l.urls)
	l.services, l.urls = nil, nil
	return services, urls
}

func (l *legs) tellings() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}

// probing runs a prober in a bubble until the test ends.
func probing(t *testing.T, test func(*prober, *legs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &legs{start: time.Now(), takes: 20 * time.Millisecond}
		p := newProber(probeConfig{
			service: l.look(&l.services, &l.serviceErr), url: l.look(&l.urls, &l.urlErr),
			tell: func() { l.set(func() { l.told++ }) }, unasked: true,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		test(p, l)
	})
}

func wantLights(t *testing.T, p *prober, service, url LightState) {
	t.Helper()
	synctest.Wait()
	if got := p.state(); got.Service.State != service || got.URL.State != url {
		t.Errorf("lights are %+v, want %d and %d", got, service, url)
	}
}

func wantCounts(t *testing.T, l *legs, services, urls int) {
	t.Helper()
	synctest.Wait()
	if s, u := l.counts(); s != services || u != urls {
		t.Errorf("%d looks at the service and %d at the URL, want %d and %d", s, u, services, urls)
	}
}

var online, connecting, reconnecting, stopped, refused = session.Status{State: session.Online}, session.Status{State: session.Connecting},
	session.Status{State: session.Reconnecting}, session.Status{State: session.Stopped}, session.Status{State: session.Refused}

func TestLightsFollowTheSession(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		wantLights(t, p, Unknown, Unknown)
		p.link(connecting)
		wantLights(t, p, Checking, Waits)
		time.Sleep(time.Second)
		wantLights(t, p, Up, Waits)
		wantCounts(t, l, 1, 0)
		p.link(online)
		wantLights(t, p, Up, Checking)
		time.Sleep(time.Second)
		wantLights(t, p, Up, Up)
		if got := p.state(); got.URL.RTT != 20*time.Millisecond || got.URL.At.IsZero() || got.URL.Cause != "" {
			t.Errorf("URL %+v", got.URL)
		}
		wantCounts(t, l, 1, 1)
		p.link(reconnecting)
		wantLights(t, p, Up, Waits)
		p.link(refused)
		wantLights(t, p, Up, Waits)
		p.link(stopped)
		wantLights(t, p, Unknown, Unknown)
		time.Sleep(time.Hour)
		wantCounts(t, l, 0, 0)
	})
}

// TestNobodyWatches: nothing is looked at while nothing happens.
func TestNobodyWatches(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		p.link(online)
		time.Sleep(24 * time.Hour)
		wantCounts(t, l, 1, 1)
	})
}

// TestWatched counts what an hour of watching costs.
func TestWatched(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		p.link(online)
		p.watch(true)
		time.Sleep(time.Hour)
		l.set(func() {
			for i := 1; i < len(l.urls); i++ {
				if gap := l.urls[i] - l.urls[i-1]; gap < urlEvery {
					t.Errorf("another look at the URL after %v", gap)
				}
			}
		})
		services, urls := l.counts()
		if services < 600 || services > 720 || urls < 10 || urls > 13 {
			t.Errorf("%d looks at the service, %d at the URL", services, urls)
		}
		told := l.tellings()
		time.Sleep(time.Hour)
		if more := l.tellings() - told; more > 14 { // not for every look at the service
			t.Errorf("told %d times that nothing has changed", more)
		}
		p.watch(false)
		l.counts()
		time.Sleep(time.Hour)
		wantCounts(t, l, 0, 0)
		p.watch(true) // what is old is looked at now
		time.Sleep(time.Second)
		wantCounts(t, l, 1, 1)
		p.watch(false)
		p.watch(true)
		time.Sleep(time.Second)
		wantCounts(t, l, 0, 0)
	})
}

// TestNeverOftenerThanNeeded bounds what a bad link costs.
func TestNeverOftenerThanNeeded(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		p.watch(true)
		for range 600 { // a link that comes and goes all the time
			p.link(reconnecting)
			p.link(online)
			p.ask(asked{service: true})
			time.Sleep(100 * time.Millisecond)
		}
		services, urls := l.counts()
		if services > 62 || urls > 13 {
			t.Errorf("%d looks at the service and %d at the URL in a minute", services, urls)
		}
	})
}

func TestPersonNeedsNotWait(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		p.link(online)
		time.Sleep(100 * time.Millisecond)
		wantCounts(t, l, 1, 1)
		l.set(func() { l.takes = time.Second })
		for range 10 { // once is under way, and one more is enough
			p.ask(asked{service: true, url: true, person: true})
			wantLights(t, p, Checking, Checking)
		}
		time.Sleep(10 * time.Second)
		wantCounts(t, l, 2, 2)
		wantLights(t, p, Up, Up)
		l.set(func() {
			if l.worst > 2 {
				t.Errorf("%d looks at once", l.worst)
			}
		})
		p.link(stopped)
		p.ask(asked{service: true, url: true, person: true})
		wantLights(t, p, Checking, Waits)
		time.Sleep(2 * time.Second)
		wantLights(t, p, Up, Waits)
	})
}

func TestDownAndUpAgain(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		p.watch(true)
		l.set(func() { l.serviceErr = errors.New("nothing is listening") })
		p.link(online)
		time.Sleep(time.Second)
		wantLights(t, p, Down, Up)
		if got := p.state().Service; got.Cause != "nothing is listening" || got.RTT != 0 || got.At.IsZero() {
			t.Errorf("service %+v", got)
		}
		l.set(func() { l.serviceErr = nil })
		time.Sleep(serviceEvery + time.Second)
		wantLights(t, p, Up, Up)
		l.set(func() { l.serviceErr = errors.New("it has crashed") })
		p.ask(asked{service: true}) // a visitor has found out
		time.Sleep(2 * time.Second)
		wantLights(t, p, Down, Up)
	})
}

// TestNoAnswerIsAskedAgain, once: an answer, or a second silence, is final.
func TestNoAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{{fmt.Errorf("no way%w", silent{errors.New("dns")}), 2}, {errors.New("404"), 1}} {
		probing(t, func(p *prober, l *legs) {
			l.set(func() { l.urlErr = tt.err })
			p.link(online)
			time.Sleep(time.Hour)
			wantCounts(t, l, 1, tt.want)
			wantLights(t, p, Up, Down)
			p.doubt() // after the machine has woken up
			time.Sleep(5 * time.Second)
			wantCounts(t, l, 1, 1)
			l.set(func() { l.urlErr = nil })
			time.Sleep(time.Minute)
			wantCounts(t, l, 0, tt.want-1)
		})
	}
}

// TestLateLooks end in time, and what they find about something else does not count.
func TestLateLooks(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		l.set(func() { l.takes = time.Hour })
		p.link(online)
		time.Sleep(probeTimeout + time.Second)
		wantLights(t, p, Down, Down)
		p.link(reconnecting)
		p.link(online)
		time.Sleep(time.Second)
		p.link(reconnecting)
		wantLights(t, p, Down, Waits) // the look was given up
		l.set(func() { l.takes = time.Second })
		p.link(online)
		time.Sleep(30 * time.Second)
		wantLights(t, p, Up, Up)
		l.set(func() { l.takes = 3 * time.Second })
		p.ask(asked{service: true, url: true, person: true})
		time.Sleep(time.Second)
		told := l.tellings()
		p.retarget(true)
		wantLights(t, p, Checking, Checking)
		if l.tellings() == told {
			t.Error("an edit is not told")
		}
		time.Sleep(20 * time.Second)
		wantLights(t, p, Up, Up)
		p.retarget(false)
		wantLights(t, p, Checking, Waits)
	})
}

// TestWithoutLights: without lights, only a person's wish counts.
func TestWithoutLights(t *testing.T) {
	t.Parallel()
	probing(t, func(p *prober, l *legs) {
		p.cfg.unasked = false
		p.watch(true)
		p.link(connecting)
		p.link(online)
		p.ask(asked{service: true})
		p.doubt()
		time.Sleep(time.Hour)
		wantCounts(t, l, 0, 0)
		p.ask(asked{service: true, url: true, person: true})
		time.Sleep(time.Hour)
		wantCounts(t, l, 1, 1)
		wantLights(t, p, Up, Up)
	})
}
