package relay

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/tunnel"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// The paths of the base host that are the relay's own.
const (
	ownPath    = "/_culvert/"
	statusPath = "/_status/"
)

// Messages for visitors.
const (
	msgNoTunnel = "There is no tunnel of this name here, or its program left some time ago."
	msgNoAgent  = "This tunnel's program is not connected at the moment."
	msgAgentCut = "The connection to this tunnel's program was lost before it answered."
	msgBusy     = "This tunnel has as many requests under way as it may: try again in a moment."
	msgCrowd    = "Your address has as many requests under way at this tunnel as it may: try again in a moment."
	msgPointed  = "This relay is for its own machine only, and knows no host of this name: if it should, its operator names it with --public-url."
	msgNoAnswer = "This tunnel's program sent an answer that makes no sense."
	msgBadBody  = "The request's body was malformed, or ended early."
)

// serve sends each request where it belongs.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		visitor.WriteError(w, r, http.StatusServiceUnavailable, "The relay is restarting.")
		return
	}
	defer s.leave()
	begun, rc := time.Now(), http.NewResponseController(w)
	if r.ProtoMajor == 1 {
		// Also for answers of the relay's own, which need no patience otherwise.
		rc.SetWriteDeadline(begun.Add(s.cfg.Limits.StallTimeout))
	}
	closeIfDoubtful(w, r)
	if err := visitor.CheckTarget(r.Method, r.RequestURI); err != nil {
		s.refuseVisitor(w, r, http.StatusBadRequest, "Bad request: "+err.Error()+".")
		return
	}
	if s.hostForm != "" {
		if id, ok := visitor.HostID(r.Host, s.hostForm); ok {
			s.visit(w, r, route{id: id, target: r.RequestURI, begun: begun, rc: rc})
			return
		}
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	switch {
	case path == "*":
		s.refuseVisitor(w, r, http.StatusBadRequest, "Bad request: a request for * needs a tunnel's host name.")
	case path == "/" && websocket.IsWebSocketUpgrade(r):
		peer, from := s.addresses(r)
		s.serveConnect(w, r, peer, from)
	case s.pointedHere(r):
		s.refuseVisitor(w, r, http.StatusMisdirectedRequest, msgPointed)
	case strings.HasPrefix(path, ownPath), strings.HasPrefix(path, statusPath):
		s.serveOwn(w, r, path)
	default:
		id, rest, bare := visitor.SplitPath(r.RequestURI)
		s.visit(w, r, route{id: id, prefix: "/" + id, target: rest, bare: bare, begun: begun, rc: rc})
	}
}

// pointedHere reports whether a browser on this machine may have been brought here
// by a host name that somebody else has made to point to this machine, for a page of
// his to read what is meant for this machine alone. The local service cannot see it:
// it gets a Host field of its own. Addresses cannot be made to point elsewhere.
func (s *Server) pointedHere(r *http.Request) bool {
	if r.Host == "" || !loopbackHost(s.cfg.PublicURL.Host) {
		return false
	}
	name := strings.TrimSuffix(strings.ToLower(visitor.HostName(r.Host)), ".")
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return false
	}
	peer, ok := visitor.ParseIP(r.RemoteAddr)
	return ok && peer.IsLoopback() && !s.cfg.proxies().Trusts(peer)
}

// closeIfDoubtful makes the answer the last one of its connection where a proxy
// before the relay may have seen another end of the request than the relay has, and
// have taken what would be the next request here for a part of the body: after
// Transfer-Encoding beside Content-Length, or in HTTP/1.0, a server must close the
// connection (RFC 9112, section 6.1). The server under this relay drops the field
// that does not count without a word, so that it is done after all requests in
// chunks, and all in HTTP/1.0.
func closeIfDoubtful(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0) {
		w.Header().Set("Connection", "close")
	}
}

// addresses are the peer's address, and that of the visitor or agent behind
// trusted proxies.
func (s *Server) addresses(r *http.Request) (peer, from netip.Addr) {
	peer, ok := visitor.ParseIP(r.RemoteAddr)
	if !ok {
		peer = netip.IPv6Unspecified() // a listener of another kind: nobody's address
	}
	return peer, s.cfg.proxies().VisitorOf(r.Header, peer)
}

// refuseVisitor answers a request whose body nobody reads.
func (s *Server) refuseVisitor(w http.ResponseWriter, r *http.Request, status int, message string) {
	hasBody := r.ContentLength != 0 && r.ProtoMajor == 1
	if hasBody {
		w.Header().Set("Connection", "close")
	}
	visitor.WriteError(w, r, status, message)
	if rc := http.NewResponseController(w); hasBody && r.Header.Get("Expect") == "" && rc.Flush() == nil {
		newPatience(rc, false, &s.cfg.Limits).takeLeftover(r.Body)
	}
}

// route says which tunnel a request is for, and what its local service is asked.
type route struct {
	id     string
	prefix string // "/"+id in the path form
	target string
	bare   bool // path form without a slash after the ID

	begun time.Time // when serving began and, in HTTP/1, writing got its first deadline
	rc    *http.ResponseController
}

// visit is one visitor's request on its way.
type visit struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	head    *wire.RequestHead // &request
	request wire.RequestHead
	proto   string // http or https
	from    netip.Prefix
	waiting patience
	expects bool // to be asked for the body before it sends it
	// uploading: a goroutine reads the body, and takes care of its rest.
	uploading bool

	// Form 1 only: the request's body, once it has been read, and what it takes of
	// a tunnel's memory.
	whole  []byte
	taken  int64
	memory *share
}

func (s *Server) visit(w http.ResponseWriter, r *http.Request, rt route) {
	if tunnel.ValidID(rt.id) != nil {
		s.refuseVisitor(w, r, http.StatusNotFound, msgNoTunnel)
		return
	}
	var v *visit
	// A planned replacement may end a connection between looking it up and
	// sending on it. Then nothing was sent, and another one has the tunnel.
	for range 3 {
		st, ok := s.registry.find(rt.id, time.Now())
		switch {
		case !ok:
			s.refuseVisitor(w, r, http.StatusNotFound, msgNoTunnel)
			return
		case st.agent == nil || !st.agent.await(r.Context()):
			s.refuseVisitor(w, r, http.StatusBadGateway, msgNoAgent)
			return
		case rt.bare && visitor.PrefersHTML(r) && visitor.UpgradeOf(r.Header) == "":
			redirectToSlash(w, r, rt)
			return
		}
		if v == nil {
			v = s.newVisit(w, r, rt)
			defer v.giveBack()
		}
		if s.exchange(st.agent, v) {
			return
		}
	}
	s.refuseVisitor(w, r, http.StatusBadGateway, msgNoAgent)
}

// exchange has the agent carry the request, unless its visitor has so many under way
// there that others might find no room.
func (s *Server) exchange(a *agent, v *visit) bool {
	if !a.crowd.enter(v.from, s.cfg.Limits.StreamsPerVisitor) {
		v.fail(http.StatusTooManyRequests, msgCrowd, v.head.ContentLength == 0)
		return true
	}
	defer a.crowd.leave(v.from)
	return a.link.exchange(v)
}

// redirectToSlash gives a browser the URL at which a page's relative links work.
func redirectToSlash(w http.ResponseWriter, r *http.Request, rt route) {
	query := strings.TrimPrefix(rt.target, "/")
	w.Header().Set("Location", rt.prefix+"/"+query)
	w.Header().Set("Cache-Control", "no-store")
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(http.StatusPermanentRedirect)
}

// newVisit makes the head that the agent gets. The request's header becomes part
// of it: nothing else reads it from here on, but for Accept.
func (s *Server) newVisit(w http.ResponseWriter, r *http.Request, rt route) *visit {
	v := &visit{s: s, w: w, r: r, proto: "http"}
	if r.TLS != nil {
		v.proto = "https"
	}
	v.waiting.init(rt.rc, r.ProtoMajor >= 2, &s.cfg.Limits, rt.begun)
	v.head = &v.request
	v.request = wire.RequestHead{
		Method: r.Method, Target: rt.target, Host: r.Host, Prefix: rt.prefix,
		ContentLength: r.ContentLength, Header: r.Header,
	}
	if r.Body == nil || r.Body == http.NoBody {
		v.head.ContentLength = 0
	}
	if r.ProtoAtLeast(1, 1) && r.ProtoMajor == 1 && v.head.ContentLength == 0 {
		v.head.Upgrade = visitor.UpgradeOf(r.Header)
	}
	h := r.Header
	visitor.RemoveHopByHop(h)
	delete(h, "Content-Length")
	delete(h, "Host")
	v.expects = h["Expect"] != nil
	delete(h, "Expect") // the server of this relay sees to it
	peer, _ := visitor.ParseIP(r.RemoteAddr)
	if !peer.IsValid() {
		peer = netip.IPv6Unspecified()
	}
	from := s.cfg.proxies().Forward(h, visitor.Hop{Peer: peer, Proto: v.proto, Host: r.Host})
	v.head.RemoteAddr, v.from = from.String(), throttleKey(from)
	return v
}

// fail answers with an error; whether the request's body was read to its end is
// for the caller to know.
func (v *visit) fail(status int, message string, bodyRead bool) {
	if bodyRead || v.r.ProtoMajor != 1 {
		visitor.WriteError(v.w, v.r, status, message)
		return
	}
	v.w.Header().Set("Connection", "close")
	visitor.WriteError(v.w, v.r, status, message)
	if !v.uploading && !v.expects && v.waiting.rc.Flush() == nil {
		v.waiting.takeLeftover(v.r.Body)
	}
}

// failure is the answer to an exchange that ended before the agent's head.
func failure(err error) (status int, message string) {
	var reset *wire.ResetError
	if !errors.As(err, &reset) {
		return http.StatusBadGateway, msgAgentCut
	}
	if reset.Message != "" {
		return reset.Code.Status(), reset.Message
	}
	switch reset.Code {
	case wire.ResetUnavailable:
		return reset.Code.Status(), "The service behind this tunnel is not running."
	case wire.ResetTimeout:
		return reset.Code.Status(), "The service behind this tunnel did not answer in time."
	case wire.ResetBusy:
		return reset.Code.Status(), msgBusy
	case wire.ResetTooLarge:
		return reset.Code.Status(), "The request is too large for this tunnel."
	case wire.ResetInvalid:
		return reset.Code.Status(), "Bad request."
	}
	return reset.Code.Status(), msgNoAnswer
}

// gone reports whether the visitor has left.
func (v *visit) gone() bool { return errors.Is(v.r.Context().Err(), context.Canceled) }
