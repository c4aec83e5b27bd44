package engine

import (
	"context"
	"errors"
	"net/http"
)

// ReplayRequest is what is sent to the local service once more.
type ReplayRequest struct {
	Method, Path string // Path is the raw path and query
	// Host, as the visitor sent it, and Prefix, the part of the public path that named
	// the tunnel, as far as they are known: services that see the public address get
	// them. They may be empty.
	Host, Prefix string
	Header       http.Header
	Body         []byte
	// Of is the ID of the exchange that is repeated; Exchange.ReplayOf will be that.
	Of string
}

// Replay sends a request to the local service, past the link and the public URL.
func (t *Tunnel) Replay(ctx context.Context, r ReplayRequest) error {
	return errors.New("not yet")
}
