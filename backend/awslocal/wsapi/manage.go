package wsapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"culvert/backend/awslocal/chaos"
)

// actionManage is what a policy has to allow for @connections.
const actionManage = "execute-api:ManageConnections"

// maxDiscarded is how much of a body that is too long is read, to be able to say so.
const maxDiscarded = 10 << 20

// manage is the API by which functions speak to clients.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
func (a *API) manage(w http.ResponseWriter, r *http.Request, escaped string) {
	id, err := url.PathUnescape(escaped)
	if err != nil {
		id = escaped
	}
	used := Usage{
		Kind: Managed, Connection: id, Action: actionManage,
		Resource: a.arn(a.cfg.Stage + "/" + r.Method + "/@connections/" + id),
	}
	body, refused := a.admitCall(r, &used)
	if refused == nil {
		used.Status, refused = a.manageConnection(w, r.Method, id, body)
	}
	if refused != nil {
		used.Status, used.Problem = refused.status, refused.Error()
		refuse(w, refused)
	}
	used.Bytes = len(body)
	a.observe(used)
}

// admitCall reads the body of a call and verifies who makes it.
func (a *API) admitCall(r *http.Request, used *Usage) ([]byte, *refusal) {
	limit := int64(a.cfg.Limits.Message)
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "BadRequestException", "the body cannot be read"}
	}
	if int64(len(body)) > limit {
		// A caller that is still sending would not see the answer.
		io.CopyN(io.Discard, r.Body, maxDiscarded)
		return nil, &refusal{http.StatusRequestEntityTooLarge, "PayloadTooLargeException", "Message too long"}
	}
	key, refused := a.authenticate(r, body)
	if refused != nil {
		return nil, refused
	}
	used.Principal = key
	if a.cfg.Principals != nil && !a.cfg.Principals.Allowed(key, used.Action, used.Resource) {
		return nil, forbidden("ForbiddenException", key+" is not authorized to perform: "+used.Action+" on resource: "+used.Resource)
	}
	if !allow(a.cfg.AccountThrottle) {
		return nil, &refusal{http.StatusTooManyRequests, "LimitExceededException", messageThrottled}
	}
	return body, nil
}

func (a *API) manageConnection(w http.ResponseWriter, method, id string, body []byte) (status int, refused *refusal) {
	p := a.find(id)
	if p == nil || !p.reachable() {
		return 0, gone()
	}
	switch method {
	case http.MethodPost:
		return http.StatusOK, a.post(p, body)
	case http.MethodGet:
		p.describe(w)
		return http.StatusOK, nil
	case http.MethodDelete:
		p.end(ending{code: closeNormal, reason: "Connection Closed Normally"})
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent, nil
	default:
		return 0, forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
}

// post accepts a message for a client, which does not mean that it arrives.
func (a *API) post(p *peer, text []byte) *refusal {
	limited := &refusal{http.StatusTooManyRequests, "LimitExceededException", "Too Many Requests"}
	switch {
	case a.cfg.Chaos.Strike(chaos.PostLimited):
		return limited
	case a.cfg.Chaos.Strike(chaos.PostLost):
		a.log.Warn("post accepted and lost", "api", a.cfg.ID, "connection", p.id, "bytes", len(text))
		return nil
	case a.cfg.Chaos.Strike(chaos.SocketKilled):
		p.end(ending{code: closeAbnormal, cut: true})
		return nil
	case a.cfg.Chaos.Strike(chaos.PeerHung):
		p.hang()
		return nil
	}
	switch err := p.send(text); {
	case errors.Is(err, errFull):
		return limited
	case err != nil:
		return gone()
	}
	return nil
}

func gone() *refusal { return &refusal{http.StatusGone, "GoneException", "410"} }

// describe answers GetConnection.
func (p *peer) describe(w http.ResponseWriter) {
	p.mu.Lock()
	active := p.activeAt
	p.mu.Unlock()
	type identity struct {
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent"`
	}
	body, _ := json.Marshal(struct { // strings can be encoded
		ConnectedAt  string   `json:"connectedAt"`
		Identity     identity `json:"identity"`
		LastActiveAt string   `json:"lastActiveAt"`
	}{p.connectedAt.UTC().Format(time.RFC3339), identity{p.sourceIP, p.userAgent}, active.UTC().Format(time.RFC3339)})
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}
