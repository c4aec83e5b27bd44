package httpapi

import (
	"net/http"
	"strings"
)

// eventV1 is an event of payload format 1.0. What is absent is null in it.
type eventV1 struct {
	Version                         string              `json:"version"`
	Resource                        string              `json:"resource"`
	Path                            string              `json:"path"`
	HTTPMethod                      string              `json:"httpMethod"`
	Headers                         map[string]string   `json:"headers"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters"`
	RequestContext                  contextV1           `json:"requestContext"`
	PathParameters                  map[string]string   `json:"pathParameters"`
	StageVariables                  map[string]string   `json:"stageVariables"`
	Body                            *string             `json:"body"`
	IsBase64Encoded                 bool                `json:"isBase64Encoded"`
}

type contextV1 struct {
	AccountID         string     `json:"accountId"`
	APIID             string     `json:"apiId"`
	DomainName        string     `json:"domainName"`
	DomainPrefix      string     `json:"domainPrefix"`
	ExtendedRequestID string     `json:"extendedRequestId"`
	HTTPMethod        string     `json:"httpMethod"`
	Identity          identityV1 `json:"identity"`
	Path              string     `json:"path"`
	Protocol          string     `json:"protocol"`
	RequestID         string     `json:"requestId"`
	RequestTime       string     `json:"requestTime"`
	RequestTimeEpoch  int64      `json:"requestTimeEpoch"`
	ResourceID        string     `json:"resourceId"`
	ResourcePath      string     `json:"resourcePath"`
	Stage             string     `json:"stage"`
}

// identityV1 tells of callers that AWS knows; visitors are not among them.
type identityV1 struct {
	AccessKey                     *string `json:"accessKey"`
	AccountID                     *string `json:"accountId"`
	Caller                        *string `json:"caller"`
	CognitoAuthenticationProvider *string `json:"cognitoAuthenticationProvider"`
	CognitoAuthenticationType     *string `json:"cognitoAuthenticationType"`
	CognitoIdentityID             *string `json:"cognitoIdentityId"`
	CognitoIdentityPoolID         *string `json:"cognitoIdentityPoolId"`
	PrincipalOrgID                *string `json:"principalOrgId"`
	SourceIP                      string  `json:"sourceIp"`
	User                          *string `json:"user"`
	UserAgent                     string  `json:"userAgent"`
	UserARN                       *string `json:"userArn"`
}

func (a *API) eventV1(in *request) *eventV1 {
	path := in.decodedPath()
	domain := hostname(in.host)
	prefix, _, _ := strings.Cut(domain, ".")
	_, resource, explicit := strings.Cut(a.cfg.RouteKey, " ")
	if !explicit {
		resource = a.cfg.RouteKey
	}
	e := &eventV1{Version: "1.0", Resource: resource, Path: path, HTTPMethod: in.method,
		Headers: make(map[string]string), MultiValueHeaders: make(map[string][]string),
		MultiValueQueryStringParameters: in.parameters(),
		RequestContext: contextV1{
			AccountID: a.cfg.AccountID, APIID: a.cfg.ID, DomainName: domain, DomainPrefix: prefix,
			ExtendedRequestID: in.access.RequestID, HTTPMethod: in.method,
			Identity: identityV1{SourceIP: in.access.SourceIP, UserAgent: in.header.Get("User-Agent")},
			Path:     path, Protocol: in.proto, RequestID: in.access.RequestID,
			RequestTime: logTime(in.access.Time), RequestTimeEpoch: in.access.Time.UnixMilli(),
			ResourceID: a.cfg.RouteKey, ResourcePath: resource, Stage: a.cfg.Stage,
		},
	}
	for name, values := range in.header {
		name = nameV1(name)
		e.Headers[name] = strings.Join(values, ",")
		e.MultiValueHeaders[name] = values
	}
	for name, values := range e.MultiValueQueryStringParameters {
		if e.QueryStringParameters == nil {
			e.QueryStringParameters = make(map[string]string)
		}
		e.QueryStringParameters[name] = values[0]
	}
	if len(in.body) > 0 {
		text, isBase64 := in.text()
		e.Body, e.IsBase64Encoded = &text, isBase64
	}
	return e
}

// nameV1 gives a field's name in format 1.0. The documentation says lower case, and
// recorded events have the gateway's own fields in canonical case: a program must take
// any, so it gets both here.
func nameV1(name string) string {
	switch name {
	case "Content-Length", "Host", "User-Agent", "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto":
		return http.CanonicalHeaderKey(name)
	}
	return strings.ToLower(name)
}
