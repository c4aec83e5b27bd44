// Package discover finds the services that listen on this machine, so that a tunnel
// to one of them takes a click: what they are, how they are reached, and whether it
// would be unwise to show them to the world.
//
// It only looks at what the operating system tells this user. No service is
// connected to: a probe might wake or disturb what it reaches.
package discover

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// Maybe is how sure one can be without asking the service.
type Maybe int

// The degrees of certainty.
const (
	Unknown Maybe = iota
	Likely
	Unlikely
)

// Service is something that accepts TCP connections on this machine's loopback
// interface.
type Service struct {
	Port int
	// Address is the IP address on which it listens; an unspecified one (0.0.0.0 or
	// ::) stands for every address.
	Address string
	// PID and Process are the process and the name of its program; 0 and "" if this
	// user may not know.
	PID     int
	Process string
	// Title says in a word or two what it is: the framework, else the hazard, else the
	// process; "" if nothing is known.
	Title string
	// Framework is "vite", "django" and the like, or "".
	Framework string
	// Folder is the absolute path of the folder in which it runs, or "".
	Folder string
	// Hazard says why it should not be shown to the world; the zero value if nothing
	// speaks against it.
	Hazard Hazard
	// HTTP is whether it speaks HTTP, as far as one can guess.
	HTTP Maybe
	// Target is what target.Parse takes to lead there, such as "localhost:5173".
	Target string
	// Own: it belongs to another Culvert process, such as a relay.
	Own bool
}

// maxServices bounds a list: nobody reads more, and a machine may be strange.
const maxServices = 500

// Scan lists the services, those that are probably meant to be looked at with a
// browser first. This process's own are left out. A service of which nothing but the
// port can be known is listed as well.
func Scan(ctx context.Context) ([]Service, error) {
	var s scanner
	return s.scan(ctx)
}

// listener is a socket that accepts connections.
type listener struct {
	addr netip.Addr
	port int
	pid  int // 0 if it is not known
}

// process is what could be learned of one; anything may be missing.
type process struct {
	pid, parent int
	name        string   // of its program, without folder and .exe
	exe         string   // the program's path
	args        []string // with args[0]
	folder      string   // in which it runs
}

// services makes the list. own is this process's ID; get learns about another one.
func services(listeners []listener, own int, get func(pid int) process) []Service {
	type key struct{ port, pid int }
	found := map[key]listener{}
	for _, l := range listeners {
		l.addr = l.addr.Unmap().WithZone("")
		if l.pid == own || l.port == 0 || !l.addr.IsLoopback() && !l.addr.IsUnspecified() {
			continue
		}
		k := key{l.port, l.pid}
		if old, ok := found[k]; !ok || rank(l.addr) < rank(old.addr) {
			found[k] = l
		}
	}
	// Of one port, a listener that nobody is known to own is the same as another.
	perPort := map[int]int{}
	for k := range found {
		if k.pid != 0 {
			perPort[k.port]++
		}
	}
	var list []Service
	for k, l := range found {
		if k.pid == 0 && perPort[k.port] > 0 {
			continue
		}
		var p process
		if k.pid != 0 {
			p = get(k.pid)
		}
		s := describe(l, p, get)
		// Two services on one port are told apart by their addresses.
		s.Target = address(l, perPort[k.port] > 1)
		if scheme := schemes[l.port]; scheme != "" {
			s.Target = scheme + "://" + s.Target
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Service) int {
		return cmp.Or(cmp.Compare(order(&a), order(&b)), cmp.Compare(a.Port, b.Port), cmp.Compare(a.PID, b.PID))
	})
	return list[:min(len(list), maxServices)]
}

// schemes are the ports on which nearly everybody speaks TLS.
var schemes = map[int]string{443: "https", 8443: "https"}

// rank prefers, among the addresses of one service, those that say most about how it
// is reached.
func rank(addr netip.Addr) int {
	switch {
	case addr.IsUnspecified():
		return 0
	case addr == netip.AddrFrom4([4]byte{127, 0, 0, 1}):
		return 1
	case addr == netip.IPv6Loopback():
		return 2
	}
	return 3
}

// address is where the service is reached. "localhost" stands for both versions of
// IP: the forwarder tries one after the other.
func address(l listener, exact bool) string {
	host := "localhost"
	if exact && !l.addr.IsUnspecified() || rank(l.addr) == 3 {
		host = l.addr.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(l.port))
}

// order puts first what a person probably wants to open.
func order(s *Service) int {
	switch {
	case s.Own:
		return 4
	case s.Hazard.Kind != NoHazard:
		return 3
	case s.HTTP == Unlikely:
		return 2
	case s.HTTP == Unknown:
		return 1
	}
	return 0
}

// describe says what listens.
func describe(l listener, p process, get func(pid int) process) Service {
	s := Service{Port: l.port, Address: l.addr.String(), PID: l.pid, Process: p.name, Folder: p.folder}
	f := identify(p)
	// What a reloader or a pool of workers has started often tells nothing itself.
	for parent, n := p.parent, 0; f.name == "" && isWorker(p) && parent > 1 && n < maxParents; n++ {
		p = get(parent)
		f, parent = identify(p), p.parent
	}
	s.Framework = f.name
	s.Own = isCulvert(s.Process)
	s.Hazard = hazardOf(l.port, p, f)
	switch {
	case s.Hazard.Kind != NoHazard || f.kind == other:
		s.HTTP = Unlikely
	case f.kind == web || s.Own:
		s.HTTP = Likely
	case runtimes[trimVersion(p.name)] && l.port >= 1024 || webPorts[l.port]:
		s.HTTP = Likely
	}
	if s.Hazard.Kind == Debugger {
		s.Framework = "" // that is what the process does on another port
	}
	s.Title = cmp.Or(s.Framework, s.Hazard.Name, s.Process)
	if name := trimVersion(s.Process); s.Title == s.Process && runtimes[name] {
		s.Title = name
	}
	return s
}

// maxParents bounds the way up from a worker to the program that tells more.
const maxParents = 3

// webPorts are usual for HTTP, whoever listens.
var webPorts = map[int]bool{80: true, 443: true, 3000: true, 4200: true, 5173: true, 8000: true, 8080: true, 8443: true, 8888: true}

// runtimes are programs that run the code of others: of developers, most of all.
var runtimes = map[string]bool{
	"node": true, "bun": true, "deno": true, "python": true, "ruby": true, "php": true, "java": true, "dotnet": true, "perl": true, "go": true,
}
