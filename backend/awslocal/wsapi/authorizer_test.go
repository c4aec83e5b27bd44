package wsapi

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const policyFormat = `{"principalId":"me","policyDocument":{"Version":"2012-10-17","Statement":[`

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	arn := ExecuteARN(region, account, apiID, "live/$connect")
	for name, test := range map[string]struct {
		path, token, answer string
		status              int
		asked               bool
	}{
		"allowed":       {"/live?user=a", "t", policyFormat + `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"` + arn + `"}]},"context":{"plan":"free","n":1}}`, 101, true},
		"allowed lists": {"/live?user=a", "t", policyFormat + `{"Effect":"Allow","Action":["execute-api:*"],"Resource":["x","*"]}]}}`, 101, true},
		"denied":        {"/live?user=a", "t", policyFormat + `{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]}}`, 403, true},
		"another route": {"/live?user=a", "t", policyFormat + `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"` + arn + `x"}]}}`, 403, true},
		"another act":   {"/live?user=a", "t", policyFormat + `{"Effect":"Allow","Action":"execute-api:ManageConnections","Resource":"*"}]}}`, 403, true},
		"no statement":  {"/live?user=a", "t", policyFormat + `]}}`, 403, true},
		"no policy":     {"/live?user=a", "t", `{}`, 500, true},
		"failed":        {"/live?user=a", "t", `unhandled`, 500, true},
		// All identity sources are needed: "header or query" cannot be said.
		"no header": {"/live?user=a", "", `{}`, 401, false},
		"no query":  {"/live", "t", `{}`, 401, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := &function{invoked: make(chan invocation, 10)}
			z.always(test.answer, nil)
			x := start(t, func(c *Config) {
				c.Authorizer = &Authorizer{ID: "z1", Lambda: Lambda{Function: z, Permissions: anyStage},
					IdentitySources: []string{"route.request.header.Authorization", "route.request.querystring.user"}}
			})
			header := http.Header{}
			if test.token != "" {
				header.Set("Authorization", test.token)
			}
			_, resp, err := x.tryDial(test.path, header)
			if resp == nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status {
				t.Errorf("handshake answered %d, want %d", resp.StatusCode, test.status)
			}
			if asked := len(z.invoked) == 1; asked != test.asked {
				t.Errorf("the authorizer was asked: %v, want %v", asked, test.asked)
			}
			if test.asked {
				var event struct{ Type, MethodARN string }
				if err := json.Unmarshal((<-z.invoked).raw, &event); err != nil || event.Type != "REQUEST" || event.MethodARN != arn {
					t.Errorf("the authorizer was asked %+v, %v", event, err)
				}
			}
			if test.status != 101 {
				x.noInvocation()
				return
			}
			got := x.next("CONNECT").RequestContext.Authorizer
			want := any(map[string]any{"principalId": "me"})
			if name == "allowed" {
				want = map[string]any{"principalId": "me", "plan": "free", "n": 1.0}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
