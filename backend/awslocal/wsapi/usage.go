package wsapi

import "time"

// UsageKind says what was used.
type UsageKind string

// What an API tells its observer. Messages are billed per started 32 KB, in
// either direction, and connections per started minute (a connection's minutes are told when it ends).
const (
	Connected    UsageKind = "connected"
	Disconnected UsageKind = "disconnected"
	MessageIn    UsageKind = "message in"
	MessageOut   UsageKind = "message out"
	// Managed is a call to @connections, whatever became of it.
	Managed UsageKind = "managed"
	// Integrated is a route's integration having run, or having failed to.
	Integrated UsageKind = "integrated"
)

// billedUnit is how much of a message is billed as one (API Gateway pricing, WebSocket APIs).
const billedUnit = 32 << 10

// Usage is one thing that costs money, needs a permission or shows in an access log.
type Usage struct {
	API        string // its ID
	Kind       UsageKind
	Connection string
	// Bytes and Units of a message; a message is at least one unit.
	Bytes, Units int
	// Duration of a connection that ended, by the API's clock.
	Duration time.Duration
	// Principal is the access key that signed a managed call, or a handshake where
	// $connect has IAM authorization; Action and Resource are what its policy has to allow.
	Principal, Action, Resource string
	// Route whose integration ran.
	Route string
	// Status of a managed call, of $connect, or of the integration's answer; 0 if it gave none.
	Status int
	// Problem is why a message or an integration came to nothing, "" if it did not.
	Problem string
}

// Minutes is what a connection's duration is billed as.
func (u Usage) Minutes() int { return int((u.Duration + time.Minute - 1) / time.Minute) }

// Observer is told everything that is used. It is called from many goroutines
// and must return soon.
type Observer interface{ Observe(Usage) }

func units(bytes int) int { return max(1, (bytes+billedUnit-1)/billedUnit) }

func (a *API) observe(u Usage) {
	if a.cfg.Observer != nil {
		u.API = a.cfg.ID
		a.cfg.Observer.Observe(u)
	}
}
