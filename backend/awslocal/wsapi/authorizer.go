package wsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Authorizer is a Lambda authorizer of type REQUEST, which on WebSocket APIs
// works for $connect only.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
type Authorizer struct {
	ID     string // part of the ARN that the function's permission has to fit
	Lambda Lambda
	// IdentitySources are route.request.header.NAME and
	// route.request.querystring.NAME. All of them must be there, or the answer is 401 and
	// the function is not invoked.
	IdentitySources []string
}

const (
	headerSource = "route.request.header."
	querySource  = "route.request.querystring."
)

func (z *Authorizer) validate() error {
	if z.ID == "" || z.Lambda.Function == nil {
		return errors.New("an ID and a function are needed")
	}
	for _, source := range z.IdentitySources {
		if !strings.HasPrefix(source, headerSource) && !strings.HasPrefix(source, querySource) {
			return fmt.Errorf("identity source %q: the stand-in knows %sNAME and %sNAME", source, headerSource, querySource)
		}
	}
	return nil
}

// identified reports whether all identity sources have a value.
func (z *Authorizer) identified(r *http.Request) bool {
	query := r.URL.Query()
	for _, source := range z.IdentitySources {
		value := ""
		if name, found := strings.CutPrefix(source, headerSource); found {
			value = r.Header.Get(name)
		} else {
			value = query.Get(strings.TrimPrefix(source, querySource))
		}
		if value == "" {
			return false
		}
	}
	return true
}

// policy is what an authorizer's function returns.
type policy struct {
	PrincipalID    string `json:"principalId"`
	PolicyDocument struct {
		Statement []struct {
			Effect   string
			Action   oneOrMore
			Resource oneOrMore
		}
	} `json:"policyDocument"`
	Context map[string]any `json:"context"`
}

// oneOrMore is a member of a policy that may be a string or a list of them.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// allows reports whether a statement allows, and none denies, the connection.
func (p *policy) allows(arn string) bool {
	allowed := false
	for _, s := range p.PolicyDocument.Statement {
		fits := false
		for _, resource := range s.Resource {
			fits = fits || resource == "*" || arnLike(resource, arn)
		}
		acts := false
		for _, action := range s.Action {
			acts = acts || wildcard(action, "execute-api:Invoke")
		}
		if !fits || !acts {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = allowed || s.Effect == "Allow"
	}
	return allowed
}

// authorize asks the authorizer whether a client may connect. The context that it
// returns is part of all events of the connection.
func (a *API) authorize(p *peer, r *http.Request) *failure {
	z := a.cfg.Authorizer
	if z == nil {
		return nil
	}
	if !z.identified(r) {
		return &failure{"Unauthorized", http.StatusUnauthorized, "an identity source is missing"}
	}
	e := p.connectEvent(r)
	e.IsBase64Encoded = nil
	e.Type = "REQUEST"
	e.MethodARN = a.arn(a.cfg.Stage + "/" + routeConnect)
	payload, failed := a.call("authorizers/"+z.ID, &z.Lambda, e)
	if failed != nil {
		failed.status = http.StatusInternalServerError
		return failed
	}
	var got policy
	if err := json.Unmarshal(payload, &got); err != nil || got.PrincipalID == "" {
		return &failure{messageInternal, http.StatusInternalServerError, "the authorizer's answer is no policy"}
	}
	if !got.allows(e.MethodARN) {
		return &failure{messageForbidden, http.StatusForbidden, "the authorizer denies"}
	}
	p.authorizer = map[string]any{"principalId": got.PrincipalID}
	for name, value := range got.Context {
		p.authorizer[name] = value
	}
	return nil
}
