package meter

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// SQS is what to stand in front of: a server that speaks SQS's JSON protocol and checks
// no signatures.
type SQS struct {
	Upstream        *url.URL
	Region, Account string // of ARNs
	Callers         Callers
	// Allowed says whether the policy behind an access key ID allows an action on a queue.
	Allowed   func(accessKeyID, action, queueARN string) bool
	Transport http.RoundTripper
	// Delay, if any, is how long a call takes longer than here.
	Delay func(operation string) time.Duration
}

const (
	maxQueueBody = 2 << 20  // bytes; a batch has 1 MiB, which JSON makes longer
	queueUnit    = 64 << 10 // bytes of payload that are billed as one request
)

// QueueARN is a queue's.
func QueueARN(region, account, queue string) string {
	return "arn:aws:sqs:" + region + ":" + account + ":" + queue
}

// SQS stands in front of an SQS server, which it lets functions use as far as their
// policies allow. Event source mappings ask in their function's name.
func (m *Meter) SQS(s SQS) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: s.Transport,
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(s.Upstream) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the SQS server does not answer")
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		function, known := s.Callers.signedBy(r)
		if !known {
			refuseCaller(w)
			return
		}
		operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
		if !ok || r.Method != http.MethodPost {
			refuse(w, http.StatusBadRequest, "UnknownOperationException", "no operation of SQS's JSON protocol was called")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueueBody))
		if err != nil {
			refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the request is too large")
			return
		}
		queue := queueOf(body)
		if queue == "" {
			refuse(w, http.StatusBadRequest, "InvalidAddress", "the request names no queue by its URL")
			return
		}
		// A batch needs the permission of what it is a batch of.
		// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
		action, arn := "sqs:"+strings.TrimSuffix(operation, "Batch"), QueueARN(s.Region, s.Account, queue)
		if key, _ := accessKey(r); !s.Allowed(key, action, arn) {
			refuse(w, http.StatusForbidden, "AccessDeniedException", function+" is not authorized to perform: "+action+" on resource: "+arn)
			return
		}
		m.call(function, action, arn)
		if s.Delay != nil && !sleep(r.Context(), s.Delay(operation)) {
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		out := &counter{ResponseWriter: w}
		proxy.ServeHTTP(out, r)
		m.add(func(used *Usage) { used.QueueRequests += max(1, (max(int64(len(body)), out.n)+queueUnit-1)/queueUnit) })
	})
}

// queueOf is the name of the queue that a call is about, "" if it is about none.
func queueOf(body []byte) string {
	var in struct {
		QueueURL string `json:"QueueUrl"`
	}
	if json.Unmarshal(body, &in) != nil {
		return ""
	}
	u, err := url.Parse(in.QueueURL)
	if err != nil {
		return ""
	}
	return u.Path[strings.LastIndexByte(u.Path, '/')+1:]
}
