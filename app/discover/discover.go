// Package discover finds the services that listen on this machine, so that a tunnel
// to one of them takes a click: what they are, how they are reached, and whether it
// would be unwise to show them to the world.
//
// It only looks at what the operating system tells this user. No service is
// connected to: a probe might wake or disturb what it reaches.
package discover

import "context"

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
	// Title says in a word or two what it is: the framework, else the process; "" if
	// nothing is known.
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

// HazardKind sorts hazards.
type HazardKind int

// The kinds of hazards.
const (
	NoHazard HazardKind = iota
	Database
	Debugger
	Containers // Docker, Kubernetes: whoever reaches it commands the machine
	RemoteAccess
	Internal // meant for this machine or its network only
)

// Hazard is a reason to ask before a service is shown to the world.
type Hazard struct {
	Kind HazardKind
	Name string // what it is, such as "PostgreSQL"
	// Why is one sentence for the person who is about to open it, in English and
	// without the name.
	Why string
}

// Scan lists the services, those that are probably meant to be looked at with a
// browser first. This process's own are left out. A service of which nothing but the
// port can be known is listed as well.
func Scan(ctx context.Context) ([]Service, error) { return nil, nil }
