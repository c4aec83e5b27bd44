package wsapi

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"culvert/backend/awslocal/chaos"
)

// actionInvoke is what a policy has to allow for $connect with IAM authorization.
const actionInvoke = "execute-api:Invoke"

// connect takes a client's handshake and then its connection, until it ends.
func (a *API) connect(w http.ResponseWriter, r *http.Request) {
	if refused := a.admit(r); refused != nil {
		if refused.status == http.StatusUpgradeRequired {
			w.Header().Set("Upgrade", "websocket")
		}
		refuse(w, refused)
		return
	}
	p, refused := a.newPeer(r)
	if refused != nil {
		refuse(w, refused)
		return
	}
	result, failed := a.runConnect(p, r)
	if failed != nil {
		a.forget(p)
		a.log.Warn("handshake refused", "api", a.cfg.ID, "status", failed.status, "problem", failed.problem)
		p.refuse(w, failed.status, failed.frame)
		return
	}
	if result.StatusCode < 200 || result.StatusCode > 299 {
		a.forget(p)
		p.refuse(w, result.StatusCode, http.StatusText(result.StatusCode))
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.forget(p)
		p.refuse(w, http.StatusInternalServerError, "the connection cannot be taken over: "+err.Error())
		return
	}
	conn.SetDeadline(time.Time{}) // the server's own
	p.run(conn, buffered.Reader, switching(r, result))
}

// admit refuses what does not get as far as $connect.
func (a *API) admit(r *http.Request) *refusal {
	switch {
	case headerSize(r) > a.cfg.Limits.Header:
		return &refusal{status: http.StatusRequestHeaderFieldsTooLarge, message: "Request Header Fields Too Large"}
	case r.Method != http.MethodGet || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket"):
		return &refusal{status: http.StatusUpgradeRequired, message: "Upgrade Required"}
	case r.Header.Get("Sec-Websocket-Version") != "13" || !validKey(r.Header.Get("Sec-Websocket-Key")):
		return &refusal{status: http.StatusBadRequest, message: "Bad Request"}
	case a.cfg.Chaos.Strike(chaos.DialRefused), !a.connects.Allow(), !a.throttle(a.cfg.Routes[routeConnect]):
		return &refusal{http.StatusTooManyRequests, "LimitExceededException", messageThrottled}
	}
	return nil
}

// headerSize is what the limit on request line and fields counts.
func headerSize(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("Host: ") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(": ") + len(value)
		}
	}
	return n
}

// newPeer registers a connection whose $connect is still to run.
func (a *API) newPeer(r *http.Request) (*peer, *refusal) {
	sourceIP, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		sourceIP = r.RemoteAddr
	}
	p := &peer{
		api:         a,
		id:          newID(),
		connectedAt: time.Now(),
		host:        r.Host,
		sourceIP:    sourceIP,
		userAgent:   r.UserAgent(),
		lowerCase:   a.counter.Add(1)%2 == 0,
		wake:        make(chan struct{}, 1),
		done:        make(chan struct{}),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.peers) >= a.cfg.Limits.Connections {
		return nil, &refusal{http.StatusTooManyRequests, "LimitExceededException", messageThrottled}
	}
	a.peers[p.id] = p
	return p, nil
}

func (a *API) forget(p *peer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.peers, p.id)
}

// runConnect authorizes the client and runs $connect, while the client waits for the upgrade.
func (a *API) runConnect(p *peer, r *http.Request) (proxyResult, *failure) {
	route, found := a.cfg.Routes[routeConnect]
	if !found {
		return proxyResult{StatusCode: 200}, nil
	}
	if route.IAM {
		if failed := a.authorizeIAM(p, r); failed != nil {
			return proxyResult{}, failed
		}
	}
	if failed := a.authorize(p, r); failed != nil {
		return proxyResult{}, failed
	}
	return a.integrate(routeConnect, route, p.connectEvent(r))
}

func (a *API) authorizeIAM(p *peer, r *http.Request) *failure {
	key, refused := a.authenticate(r, nil)
	if refused != nil {
		return &failure{refused.message, refused.status, refused.Error()}
	}
	arn := a.arn(a.cfg.Stage + "/" + routeConnect)
	p.accessKey = key
	if !a.cfg.Principals.Allowed(key, actionInvoke, arn) {
		return &failure{"User is not authorized to access this resource", http.StatusForbidden, key + " may not " + actionInvoke + " " + arn}
	}
	return nil
}

// refuse answers the handshake of a connection that does not come about. What
// $connect returned as body is not part of it.
func (p *peer) refuse(w http.ResponseWriter, status int, message string) {
	p.observeConnect(status, message)
	id := newID()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-RequestId", id)
	w.WriteHeader(status)
	w.Write(injected(message, p.id, id))
}

// observeConnect tells what became of the handshake, and whose permission it took.
func (p *peer) observeConnect(status int, problem string) {
	u := Usage{Kind: Connected, Connection: p.id, Status: status, Problem: problem}
	if p.accessKey != "" {
		u.Principal, u.Action, u.Resource = p.accessKey, actionInvoke, p.api.arn(p.api.cfg.Stage+"/"+routeConnect)
	}
	p.api.observe(u)
}

// injected is the text by which API Gateway itself speaks to a client.
func injected(message, connection, request string) []byte {
	quote := func(s string) []byte {
		b, _ := json.Marshal(s) // a string can be encoded
		return b
	}
	return fmt.Appendf(nil, `{"message": %s, "connectionId":%s, "requestId":%s}`, quote(message), quote(connection), quote(request))
}

// switching is the handshake's answer. It names a subprotocol only if $connect
// did; no other field of $connect's answer is passed on.
func switching(r *http.Request, result proxyResult) []byte {
	const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, section 1.3
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + magic))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if protocol := result.header("Sec-WebSocket-Protocol"); protocol != "" {
		answer += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	return []byte(answer + "\r\n")
}

// header is a field of a function's answer, whatever its case; "" if its value could not be one.
func (r *proxyResult) header(name string) string {
	value := ""
	for got, v := range r.Headers {
		if strings.EqualFold(got, name) {
			value = fmt.Sprint(v)
		}
	}
	for got, values := range r.MultiValueHeaders {
		if strings.EqualFold(got, name) {
			value = strings.Join(values, ", ")
		}
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return ""
	}
	return value
}

func hasToken(h http.Header, name, token string) bool {
	for _, list := range h.Values(name) {
		for entry := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(entry), token) {
				return true
			}
		}
	}
	return false
}

func validKey(key string) bool {
	nonce, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(nonce) == 16
}
