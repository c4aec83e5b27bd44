package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"culvert/backend/lambda/event"
)

// bucket is where CloudFormation waits for an answer.
type bucket struct {
	statuses []int // of the first answers; 200 then
	got      []string
	types    []string
}

func (b *bucket) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	b.got, b.types = append(b.got, r.Method+" "+string(text)), append(b.types, r.Header.Get("Content-Type"))
	status := http.StatusOK
	if n := len(b.got) - 1; n < len(b.statuses) {
		status = b.statuses[n]
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	return w.Result(), nil
}

func TestResources(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statuses []int
		outcome  func(*event.Resource) event.Outcome
		tries    int
		says     string // to CloudFormation
		logs     string // in the one line
		fails    bool
	}{
		"good":              {nil, nil, 1, `"Status":"SUCCESS"`, `"status":200`, false},
		"the second time":   {[]int{500, 0, 503}, nil, 4, `"Status":"SUCCESS"`, `"status":200`, false},
		"never":             {[]int{500, 500, 500, 500, 500}, nil, 4, `"Status":"SUCCESS"`, "could not be told", true},
		"the URL is stale":  {[]int{403}, nil, 1, `"Status":"SUCCESS"`, "403", true},
		"it failed":         {nil, func(*event.Resource) event.Outcome { return event.Outcome{Err: errors.New("denied /?hush")} }, 1, "denied", "denied", false},
		"it crashed":        {nil, func(*event.Resource) event.Outcome { panic("out of luck") }, 1, "crashed", "out of luck", false},
		"nobody to tell it": {[]int{0, 0, 0, 0}, nil, 4, "", "connection refused", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &bucket{statuses: c.statuses}
			h := hostOf(t, RoleKeys, nil)
			h.Host.http = &http.Client{Transport: b}
			h.staff.outcome = c.outcome
			out, err := h.Invoke(t.Context(), fmt.Appendf(nil, custom, "https://bucket.example.com/x?X-Amz-Signature=hush"))
			if (err != nil) != c.fails || out != nil || strings.Contains(fmt.Sprint(err), "hush") {
				t.Errorf("%s: %s, %v", name, out, err)
			}
			if len(b.got) != c.tries || !strings.HasPrefix(b.got[0], "PUT {") || !strings.Contains(b.got[len(b.got)-1], c.says) {
				t.Errorf("%s: %q", name, b.got)
			}
			var sent map[string]any
			if err := json.Unmarshal([]byte(b.got[0][4:]), &sent); err != nil || sent["RequestId"] != "r" || sent["PhysicalResourceId"] == "" {
				t.Errorf("%s: %v, %v", name, sent, err)
			}
			if strings.Join(b.types, "") != "" {
				t.Errorf("%s: the signature is for no content type, and there is %q", name, b.types)
			}
			h.out.line(t)
			if text := h.out.String(); !strings.Contains(text, c.logs) || strings.Contains(text, "hush") || strings.Contains(strings.Join(b.got, ""), "hush") {
				t.Errorf("%s: %s", name, text)
			}
		})
	}
}
