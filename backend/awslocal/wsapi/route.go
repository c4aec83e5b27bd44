package wsapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

const (
	routeConnect    = "$connect"
	routeDisconnect = "$disconnect"
	routeDefault    = "$default"
)

// Route is what happens to messages of one kind.
type Route struct {
	Lambda *Lambda
	Mock   *Mock
	// IAM lets $connect verify the handshake's signature (AuthorizationType AWS_IAM).
	IAM bool
	// RouteResponse is a response with key $default: the integration's answer goes to
	// the client. Without it, the answer is dropped.
	RouteResponse bool
	// Throttle is the route's own, in the place of the stage's. Nil: the stage's.
	Throttle Limiter
}

// throttle is what a handshake, or a message of the route, has to pass.
func (a *API) throttle(r Route) bool {
	if r.Throttle != nil {
		return allow(a.cfg.AccountThrottle, r.Throttle)
	}
	return allow(a.cfg.AccountThrottle, a.cfg.StageThrottle)
}

// Lambda is an AWS_PROXY integration.
type Lambda struct {
	Function    Function
	Permissions []Permission // of the function's resource policy
}

// Mock is a MOCK integration with one request template and one response template,
// the ones that their selection expressions choose.
type Mock struct {
	// Request is a template that makes {"statusCode":200}; another code is an error of the integration.
	Request string
	// Response is the template of the answer, in which $context variables are filled in.
	Response string
}

// variable is a reference in a template; the stand-in knows those of mockContext.
var variable = regexp.MustCompile(`\$\{?([A-Za-z!#][A-Za-z0-9_.]*)\}?`)

func (m *Mock) validate() error {
	for _, template := range []string{m.Request, m.Response} {
		for _, found := range variable.FindAllStringSubmatch(template, -1) {
			if _, known := mockContext(&eventContext{})[found[1]]; !known {
				return fmt.Errorf("template variable %q is not among those that the stand-in knows", found[0])
			}
		}
		if strings.Contains(template, "#set") || strings.Contains(template, "#if") || strings.Contains(template, "#foreach") {
			return fmt.Errorf("template %q: the stand-in knows no directives", template)
		}
	}
	return nil
}

// mockContext is the variables of mapping templates.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
func mockContext(c *eventContext) map[string]string {
	return map[string]string{
		"context.apiId":            c.APIID,
		"context.connectedAt":      fmt.Sprint(c.ConnectedAt),
		"context.connectionId":     c.ConnectionID,
		"context.domainName":       c.DomainName,
		"context.eventType":        c.EventType,
		"context.requestId":        c.RequestID,
		"context.requestTimeEpoch": fmt.Sprint(c.RequestTimeEpoch),
		"context.routeKey":         c.RouteKey,
		"context.stage":            c.Stage,
	}
}

func render(template string, c *eventContext) string {
	values := mockContext(c)
	return variable.ReplaceAllStringFunc(template, func(reference string) string {
		return values[variable.FindStringSubmatch(reference)[1]]
	})
}

// run gives what the integration answers.
func (m *Mock) run(c *eventContext) (proxyResult, *failure) {
	var request struct {
		StatusCode int `json:"statusCode"`
	}
	if err := json.Unmarshal([]byte(render(m.Request, c)), &request); err != nil || request.StatusCode != 200 {
		return proxyResult{}, &failure{frame: messageInternal, status: 500, problem: "the request template makes no statusCode 200"}
	}
	return proxyResult{StatusCode: 200, Body: render(m.Response, c)}, nil
}

var selectionForm = regexp.MustCompile(`^\$(?:\{request\.body\.([A-Za-z0-9_.-]+)\}|request\.body\.([A-Za-z0-9_.-]+))$`)

// parseSelection reads a route selection expression: the path of the member of
// the message that names its route.
func parseSelection(expression string) ([]string, error) {
	found := selectionForm.FindStringSubmatch(expression)
	if found == nil {
		return nil, fmt.Errorf("route selection expression %q: the stand-in knows $request.body.NAME", expression)
	}
	return strings.Split(found[1]+found[2], "."), nil
}

// routeOf chooses the route of a message. Text that is not JSON, or does not name
// a route, goes to $default.
func (a *API) routeOf(text []byte) (key string, route Route, found bool) {
	if name := selected(text, a.selection); name != "" && !strings.HasPrefix(name, "$") {
		if r, ok := a.cfg.Routes[name]; ok {
			return name, r, true
		}
	}
	r, ok := a.cfg.Routes[routeDefault]
	return routeDefault, r, ok
}

func selected(text []byte, path []string) string {
	value := json.RawMessage(text)
	for _, name := range path {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			return ""
		}
		value = object[name]
	}
	var name string
	if json.Unmarshal(value, &name) == nil {
		return name
	}
	if v := bytes.TrimSpace(value); len(v) > 0 && v[0] != '{' && v[0] != '[' && string(v) != "null" {
		return string(v) // a number or a boolean names a route by its text
	}
	return ""
}
