package meter

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"culvert/backend/awslocal/ssm"
)

// ParameterStore stands in front of a Parameter Store.
func (m *Meter) ParameterStore(store http.Handler, region, account string, callers Callers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		function, known := callers.signedBy(r)
		if !known {
			refuseCaller(w)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			refuse(w, http.StatusRequestEntityTooLarge, "SerializationException", "the request is too large")
			return
		}
		var in struct {
			Name  string
			Names []string
		}
		if json.Unmarshal(body, &in) == nil {
			operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
			for _, name := range append(in.Names, in.Name) {
				if name != "" {
					m.call(function, "ssm:"+operation, ssm.ARN(region, account, name))
				}
			}
		}
		m.add(func(used *Usage) { used.Parameters++ })
		r.Body = io.NopCloser(bytes.NewReader(body))
		store.ServeHTTP(w, r)
	})
}
