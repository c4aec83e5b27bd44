package model

import (
	"context"
	"net/http"
	"time"
)

// Wish is a tunnel as a person asks for it.
type Wish struct {
	Target     string // as it was typed
	Name       string // the wanted ID, or "" for any
	Profile    string // name of the backend's profile, "" for the built-in relay
	HostHeader string // "local", "public" or a name; "" is the default
	Timeout    time.Duration
	Start      bool // open it when the program starts
}

// Profile is a backend as a person enters it.
type Profile struct {
	Name    string
	Backend string // URL
	CAFile  string // file with extra trust roots, or ""
	// Token is a new token, or "" for no change. RemoveToken takes the one away that
	// there is. TokenFile is the file it is read from, "" for none.
	Token       string
	RemoveToken bool
	TokenFile   string
}

// Replay is a request that is to be sent again.
type Replay struct {
	Of     string // ID of the exchange that it repeats
	Method string
	Path   string // raw path and query
	Header http.Header
	Body   []byte
}

// ReplayQuestion is the error of a replay that a person has to agree to first: whoever
// made the file that the request comes from has chosen what would be done to which
// service.
type ReplayQuestion struct {
	Method string
	Path   string // as rows show it
	// Tunnel is the tunnel's name, and Service where it leads.
	Tunnel, Service string
	// Agree sends the request, and is called when the person says so.
	Agree func(context.Context) error
}

func (q *ReplayQuestion) Error() string {
	return "the request comes from a file, and was not sent to " + q.Service + ": " +
		"look at it first, and repeat it only if you trust the file"
}

// Page is a part of what was found in the history, newest first.
type Page struct {
	Rows []*Request
	// Next continues the search with what is older; 0 means that there is nothing older.
	Next int64
}
