package awslocal

import (
	"net"
	"net/netip"
)

// addresses are where the world will come in.
type addresses struct {
	http, ws, function claimed
}

// claimed is an address that is free. Its listener is there only where nobody could
// know the port before.
type claimed struct {
	address string
	ln      net.Listener
}

// claim sees that the addresses can be had, before anything that takes long, and
// finds ports where none were asked for.
func (l *Local) claim() (*addresses, error) {
	a := new(addresses)
	for _, c := range []struct {
		to      *claimed
		address string
	}{{&a.http, l.cfg.HTTP}, {&a.ws, l.cfg.WS}, {&a.function, l.cfg.FunctionURL}} {
		if c.address == "" {
			continue
		}
		ln, err := net.Listen("tcp", c.address)
		if err != nil {
			a.release()
			return nil, err
		}
		*c.to = claimed{address: ln.Addr().String(), ln: ln}
		if _, port, _ := net.SplitHostPort(c.address); port != "0" {
			ln.Close()
			c.to.ln = nil
		}
	}
	return a, nil
}

// release gives up what has not been taken over.
func (a *addresses) release() {
	for _, c := range []*claimed{&a.http, &a.ws, &a.function} {
		if c.ln != nil {
			c.ln.Close()
		}
	}
}

// take is the listener, which from now on is the caller's to close.
func (c *claimed) take() (net.Listener, error) {
	ln := c.ln
	c.ln = nil
	if ln != nil {
		return ln, nil
	}
	return net.Listen("tcp", c.address)
}

// reached is an address as it is dialled: nobody dials "every address".
func reached(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost"
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
