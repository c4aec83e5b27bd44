package event

import (
	"encoding/json"
	"fmt"
	"strings"
)

// envelope has those members of all kinds of events that anything here looks at. An
// event may be 6 MB: it is read once.
type envelope struct {
	// HTTP APIs, REST APIs, Function URLs, WebSocket APIs.
	Version      string   `json:"version"`
	HTTPMethod   string   `json:"httpMethod"`
	Path         string   `json:"path"`
	RawPath      string   `json:"rawPath"`
	RawQuery     string   `json:"rawQueryString"`
	Cookies      []string `json:"cookies"`
	Headers      fields   `json:"headers"`
	MultiHeaders fields   `json:"multiValueHeaders"`
	Query        fields   `json:"queryStringParameters"`
	MultiQuery   fields   `json:"multiValueQueryStringParameters"`
	Body         string   `json:"body"`
	Base64       bool     `json:"isBase64Encoded"`
	// cut is a long body; Body is empty then.
	cut []byte
	// Context is nil where the event has no such member, and RequestContext then empty.
	Context        *requestContext `json:"requestContext"`
	RequestContext requestContext  `json:"-"`

	// Lambda authorizers, which this is none of.
	Type      string `json:"type"`
	MethodARN string `json:"methodArn"`
	RouteARN  string `json:"routeArn"`

	// CloudFormation.
	RequestType   string         `json:"RequestType"`
	ResponseURL   string         `json:"ResponseURL"`
	ResourceType  string         `json:"ResourceType"`
	StackID       string         `json:"StackId"`
	RequestID     string         `json:"RequestId"`
	LogicalID     string         `json:"LogicalResourceId"`
	PhysicalID    string         `json:"PhysicalResourceId"`
	Properties    map[string]any `json:"ResourceProperties"`
	OldProperties map[string]any `json:"OldResourceProperties"`

	// Sources of batches.
	Records []record `json:"Records"`

	// Our own functions: an action.Call.
	Action       json.RawMessage `json:"action"`
	Data         json.RawMessage `json:"data"`
	User         json.RawMessage `json:"user"`
	ConnectionID json.RawMessage `json:"connectionId"`
	Time         json.RawMessage `json:"time"`
}

// requestContext is what gateways add to a request or a message.
type requestContext struct {
	HTTP *struct {
		Method   string `json:"method"`
		Path     string `json:"path"`
		SourceIP string `json:"sourceIp"`
	} `json:"http"`
	Identity struct {
		SourceIP string `json:"sourceIp"`
	} `json:"identity"`
	ELB              json.RawMessage `json:"elb"`
	APIID            string          `json:"apiId"`
	ConnectedAt      int64           `json:"connectedAt"`
	ConnectionID     string          `json:"connectionId"`
	DisconnectCode   int             `json:"disconnectStatusCode"`
	DisconnectReason string          `json:"disconnectReason"`
	Domain           string          `json:"domainName"`
	EventType        string          `json:"eventType"`
	HTTPMethod       string          `json:"httpMethod"`
	MessageDirection string          `json:"messageDirection"`
	MessageID        string          `json:"messageId"`
	RequestID        string          `json:"requestId"`
	RouteKey         string          `json:"routeKey"`
	Stage            string          `json:"stage"`
}

func open(raw []byte) (*envelope, error) {
	var e envelope
	if len(raw) > CutOver {
		if rest, value, ok := Cut(raw, "body"); ok {
			if text, ok := unescape(value); ok {
				raw, e.cut = rest, text
			}
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		// The error names types and places, and quotes nothing longer than a number.
		return nil, malformed("%w", err)
	}
	if e.Context != nil {
		e.RequestContext = *e.Context
	}
	return &e, nil
}

// kind tells the kinds apart. An event that has been cut stays what it is by any of
// the members that only its kind has: half a message must not pass for a request.
func (e *envelope) kind() (Kind, error) {
	c := &e.RequestContext
	switch {
	case e.MethodARN != "" || e.RouteARN != "" || e.Type != "":
		return Unknown, fmt.Errorf("%w: it is a Lambda authorizer's", ErrUnsupported)
	case c.ELB != nil:
		return Unknown, fmt.Errorf("%w: it is a load balancer's", ErrUnsupported)
	case c.HTTP != nil && isFunctionURL(c.Domain):
		return FunctionURL, nil
	case c.HTTP != nil:
		return HTTPv2, nil
	case c.ConnectionID != "" || c.EventType != "" || c.MessageDirection != "" || c.MessageID != "" || c.ConnectedAt != 0:
		return WebSocket, nil
	case e.HTTPMethod != "" && c.HTTPMethod != "":
		return HTTPv1, nil
	case e.RequestType != "" && e.StackID != "":
		return CustomResource, nil
	case len(e.Records) > 0 && e.Records[0].Source == "aws:sqs":
		return Queue, nil
	case len(e.Action) > 0 && e.ownersAlone():
		return Action, nil
	}
	return Unknown, ErrUnsupported
}

// ownersAlone reports whether the event has none of those members that services send:
// an action is asked for in the body of a message as well, and what is left of such an
// event must not pass for a call.
func (e *envelope) ownersAlone() bool {
	return e.Context == nil && e.cut == nil && e.Records == nil && e.Headers == nil && e.MultiHeaders == nil && e.Query == nil && e.MultiQuery == nil &&
		e.Cookies == nil && !e.Base64 && e.Properties == nil && e.OldProperties == nil &&
		e.Version+e.HTTPMethod+e.Path+e.RawPath+e.RawQuery+e.Body+e.RequestType+e.ResponseURL+e.ResourceType+e.StackID+e.RequestID+e.LogicalID+e.PhysicalID == ""
}

// isFunctionURL recognises ID.lambda-url.REGION.on.aws, and the names of the other
// partitions: requestContext.domainName is never a domain of the user's own there.
func isFunctionURL(domain string) bool {
	_, rest, _ := strings.Cut(domain, ".")
	return strings.HasPrefix(rest, "lambda-url.")
}
