package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"culvert/app/link"

	"golang.org/x/net/http/httpproxy"
)

// How long the parts may take. Together they stay below a minute: what waits for all of
// its time is the last thing that is asked of the backend.
const (
	lookupLimit  = 5 * time.Second
	lookLimit    = 10 * time.Second
	dialLimit    = 10 * time.Second // and as long for the greeting after it
	roundLimit   = 5 * time.Second
	serviceLimit = 5 * time.Second
)

// resolver looks names up: *net.Resolver, or a test's.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// examination is one run.
type examination struct {
	Backend
	names  resolver
	proxy  func(*url.URL) (*url.URL, error) // of the environment
	now    func() time.Time
	limits struct{ lookup, look, dial, round, service time.Duration }

	via  *url.URL // the proxy on the way, if there is one
	seen *sighting
	met  *meeting
}

func examine(b Backend) *examination {
	e := &examination{Backend: b, names: net.DefaultResolver, now: time.Now, proxy: httpproxy.FromEnvironment().ProxyFunc()}
	e.limits.lookup, e.limits.look, e.limits.dial, e.limits.round, e.limits.service = lookupLimit, lookLimit, dialLimit, roundLimit, serviceLimit
	return e
}

// Run makes all the checks, one after the other, and gives their results. report,
// which may be nil, is told of each when it begins and when it has ended, by the
// goroutine that called Run. It takes at most a minute, and ends with ctx.
//
// The backend sees an agent that connects, takes a tunnel with a name of the
// backend's choice, and leaves. Tunnels that are open are not touched.
func Run(ctx context.Context, b Backend, report func(Check)) []Check {
	return examine(b).run(ctx, report)
}

func (e *examination) run(ctx context.Context, report func(Check)) (results []Check) {
	if report == nil {
		report = func(Check) {}
	}
	defer func() { e.met.end() }()
	stopped := ""
	for _, step := range []struct {
		id ID
		do func(context.Context) Check
		// alone: the check means something after others have failed.
		alone bool
	}{
		{DNS, e.dns, false}, {Proxy, e.viaProxy, false}, {TLS, e.tls, false}, {Handshake, e.handshake, false},
		{Clock, e.clock, true}, {Token, e.token, true}, {RoundTrip, e.roundTrip, false},
		{LocalService, e.service, true}, {Version, e.version, false},
	} {
		report(Check{ID: step.id, State: Running})
		c := Check{State: Skipped, Detail: stopped}
		begun := time.Now()
		switch {
		case ctx.Err() != nil:
			c.Detail = "the test was stopped"
		case e.URL == nil && step.id != LocalService:
			c.Detail = noBackend
			if step.id != IDs()[0] {
				c.Detail = "no backend is configured"
			}
		case stopped == "" || step.alone:
			c = step.do(ctx)
		}
		if ctx.Err() != nil {
			c = Check{State: Skipped, Detail: "the test was stopped"} // whatever it looked like
		}
		c.ID, c.Took = step.id, time.Since(begun)
		if c.State == Failed && stopped == "" && step.id != LocalService {
			stopped = fmt.Sprintf("not tested, because this failed: %s", step.id.Title())
		}
		report(c)
		results = append(results, c)
	}
	return results
}

const noBackend = "no backend is configured: tunnels use the relay that is built in, and their URLs work on this computer only"

// dns looks the backend's name up.
func (e *examination) dns(ctx context.Context) Check {
	if err := link.ValidateBackend(e.URL, e.Backend.Token); err != nil {
		return Check{State: Failed, Detail: tidy(err.Error()), Advice: "Correct the backend's address."}
	}
	host := e.URL.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return Check{State: OK, Detail: host + " is an address: there is no name to look up"}
	}
	seen := &url.URL{Scheme: "http", Host: e.URL.Host}
	if e.secure() {
		seen.Scheme = "https"
	}
	var err error
	if e.via, err = e.proxy(seen); err != nil {
		return Check{State: Failed, Detail: "the proxy named in the environment is no valid URL", Advice: "Correct HTTPS_PROXY or HTTP_PROXY."}
	}
	if e.via != nil {
		return Check{State: Skipped, Detail: fmt.Sprintf("the proxy %s looks the name up", e.via.Host)}
	}
	if local(host) {
		return Check{State: OK, Detail: host + " is this computer"}
	}
	ctx, cancel := context.WithTimeout(ctx, e.limits.lookup)
	defer cancel()
	addresses, err := e.names.LookupNetIP(ctx, "ip", host)
	var failure *net.DNSError
	switch {
	case err == nil && len(addresses) > 0:
		return Check{State: OK, Detail: found(host, addresses)}
	case errors.As(err, &failure) && failure.IsNotFound:
		return Check{State: Failed, Detail: "there is no " + host, Advice: "Check how the address is spelled, and whether its DNS record exists."}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &failure) && failure.IsTimeout:
		return Check{State: Failed, Detail: "no name server answered", Advice: "Check the network connection."}
	case failure != nil:
		return Check{State: Failed, Detail: "looking up " + host + " failed: " + failure.Err, Advice: "Check the network connection."}
	}
	return Check{State: Failed, Detail: "looking up " + host + " failed", Advice: "Check the network connection."}
}

func found(host string, addresses []netip.Addr) string {
	text := host + " is " + addresses[0].Unmap().String()
	if more := len(addresses) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// secure: the backend's address asks for TLS.
func (e *examination) secure() bool { return e.URL.Scheme == "https" || e.URL.Scheme == "wss" }
