package model

import (
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

// Page is a part of what was found in the history, newest first.
type Page struct {
	Rows []*Request
	// Next continues the search with what is older; 0 means that there is nothing older.
	Next int64
}
