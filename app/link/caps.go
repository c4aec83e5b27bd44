package link

import (
	"slices"

	"culvert/backend/wire"
)

// capabilities are what the agent offers to the backend. What deals with messages that
// get lost, or come in any order, is of use only behind API Gateway.
func (c *Config) capabilities() []wire.Capability {
	offered := []wire.Capability{wire.CapResume, wire.CapActions}
	if c.OnNotice != nil {
		offered = append(offered, wire.CapNotices)
	}
	if c.gateway() {
		offered = append(offered, wire.CapSession, wire.CapChunks, wire.CapGzip, wire.CapCancel, wire.CapBlob, wire.CapStream)
	}
	return offered
}

// caps are the capabilities that both sides use on a connection, in form 1.
type caps struct {
	// session: messages about a request may come and go on any of the tunnel's
	// connections. The others need it.
	session, chunks, gzip, cancel, blob, stream bool
}

// agreed gives what connection_established names: the zero value for a backend
// that has declared nothing, or is not behind API Gateway.
func (c *Config) agreed(est *wire.Established) caps {
	if !c.gateway() || est.Protocol < wire.ProtocolVersion || est.Session == "" ||
		!slices.Contains(est.Capabilities, wire.CapSession) {
		return caps{}
	}
	has := func(cp wire.Capability) bool { return slices.Contains(est.Capabilities, cp) }
	return caps{
		session: true, chunks: has(wire.CapChunks), gzip: has(wire.CapGzip), cancel: has(wire.CapCancel),
		blob: has(wire.CapBlob), stream: has(wire.CapStream),
	}
}
