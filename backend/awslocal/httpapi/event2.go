package httpapi

import (
	"strings"
)

// eventV2 is an event of payload format 2.0, of HTTP APIs and of function URLs.
type eventV2 struct {
	Version               string            `json:"version"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext        contextV2         `json:"requestContext"`
	Body                  string            `json:"body,omitempty"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
}

type contextV2 struct {
	AccountID    string `json:"accountId"`
	APIID        string `json:"apiId"`
	DomainName   string `json:"domainName"`
	DomainPrefix string `json:"domainPrefix"`
	HTTP         httpV2 `json:"http"`
	RequestID    string `json:"requestId"`
	RouteKey     string `json:"routeKey"`
	Stage        string `json:"stage"`
	Time         string `json:"time"`
	TimeEpoch    int64  `json:"timeEpoch"`
}

type httpV2 struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

func (a *API) eventV2(in *request) *eventV2 {
	e := newEventV2(in, in.decodedPath())
	e.RouteKey = a.cfg.RouteKey
	c := &e.RequestContext
	c.AccountID, c.APIID, c.RouteKey, c.Stage = a.cfg.AccountID, a.cfg.ID, a.cfg.RouteKey, a.cfg.Stage
	c.DomainName = hostname(in.host)
	c.DomainPrefix, _, _ = strings.Cut(c.DomainName, ".")
	return e
}

func newEventV2(in *request, path string) *eventV2 {
	e := &eventV2{Version: "2.0", RawPath: path, RawQueryString: in.query, Headers: make(map[string]string)}
	for name, values := range in.header {
		if name == "Cookie" {
			for _, line := range values {
				e.Cookies = append(e.Cookies, splitCookies(line)...)
			}
			continue
		}
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range in.parameters() {
		if e.QueryStringParameters == nil {
			e.QueryStringParameters = make(map[string]string)
		}
		e.QueryStringParameters[name] = strings.Join(values, ",")
	}
	e.Body, e.IsBase64Encoded = in.text()
	e.RequestContext = contextV2{
		HTTP: httpV2{Method: in.method, Path: path, Protocol: in.proto, SourceIP: in.access.SourceIP,
			UserAgent: in.header.Get("User-Agent")},
		RequestID: in.access.RequestID,
		Time:      logTime(in.access.Time), TimeEpoch: in.access.Time.UnixMilli(),
	}
	return e
}

func splitCookies(line string) (all []string) {
	for cookie := range strings.SplitSeq(line, ";") {
		if cookie = strings.TrimSpace(cookie); cookie != "" {
			all = append(all, cookie)
		}
	}
	return all
}
