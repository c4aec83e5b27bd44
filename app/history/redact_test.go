package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"culvert/app/exchange"
)

// planted are secrets where they usually travel. Each has a marker in it that no
// coding of the text around it breaks up.
func planted(secret func(string) string) []*exchange.Exchange {
	var all []*exchange.Exchange
	add := func(f func(x *exchange.Exchange)) {
		x := sample(len(all))
		x.Request.Header, x.Response.Header = http.Header{"Content-Type": {"application/json"}}, http.Header{"Content-Type": {"application/json"}}
		f(x)
		x.Request.Size, x.Response.Size = int64(len(x.Request.Body)), int64(len(x.Response.Body))
		all = append(all, x)
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "X-Hub-Signature-256", "X-Client-Secret"} {
		add(func(x *exchange.Exchange) {
			x.Request.Header.Set(name, map[bool]string{true: "Bearer ", false: "a="}[strings.Contains(name, "Auth")]+secret(name))
		})
	}
	add(func(x *exchange.Exchange) { x.Request.Header.Set("Authorization", "Basic "+secret("basic")) })
	add(func(x *exchange.Exchange) {
		x.Response.Header["Set-Cookie"] = []string{"session=" + secret("set-cookie") + "; HttpOnly", "b=" + secret("set-cookie-2")}
	})
	add(func(x *exchange.Exchange) {
		x.Path = "/login?next=%2F&access_token=" + secret("query")
		x.URL = "https://shop.example.com" + x.Path
		x.Request.Header.Set("Referer", x.URL)
		x.Err, x.Detail = "the service closed the connection", "Get \""+x.URL+"\": EOF"
	})
	for _, key := range []string{"password", "api_key", "client_secret", "refreshToken", "accessToken"} {
		body := fmt.Appendf(nil, `{"user":{"name":"x","%s":"%s"},"rest":[1,2,3]}`, key, secret("json-"+key))
		add(func(x *exchange.Exchange) { x.Request.Body = body })
		add(func(x *exchange.Exchange) { x.Response.Body = body })
		add(func(x *exchange.Exchange) { // cut within the secret's value
			x.Request.Body, x.Request.Truncated = body[:bytes.LastIndexByte(body, '}')-len(`"},"rest":[1,2,3]`)-3], true
		})
		add(func(x *exchange.Exchange) {
			x.Response.Body = zipped(string(body))
			x.Response.Header.Set("Content-Encoding", "gzip")
		})
		add(func(x *exchange.Exchange) {
			x.Status, x.Upgrade = 101, "websocket"
			x.Messages = []exchange.StreamMessage{{Time: begin, Data: body, Size: int64(len(body))}}
		})
	}
	add(func(x *exchange.Exchange) {
		x.Request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		x.Request.Body = []byte("user=a&password=" + secret("form") + "&b=c")
	})
	add(func(x *exchange.Exchange) { // cut by the history itself, in the middle of the secret
		pad := strings.Repeat("x", DefaultMaxBody-len(`{"pad":"","password":"`)-len(secret("cut"))/2-7)
		x.Request.Body = []byte(`{"pad":"` + pad + `","password":"` + secret("cut") + `"}`)
	})
	add(func(x *exchange.Exchange) { // longer than is kept, once it is decoded
		x.Response.Body = zipped(`{"pad":"` + strings.Repeat("x", 2*DefaultMaxBody) + `","password":"` + secret("long") + `"}`)
		x.Response.Header.Set("Content-Encoding", "gzip")
	})
	return all
}

// Unless the person wants it otherwise, no secret reaches the disk: neither the files
// as they are, nor what can be got out of them.
func TestSecretsDoNotReachTheDisk(t *testing.T) {
	t.Parallel()
	const marker = "5ecretZebra"
	for _, secrets := range []bool{false, true} {
		var names []string
		h := begun(t, Config{Limits: Limits{Secrets: secrets}})
		all := planted(func(name string) string {
			names = append(names, name)
			return marker + name + marker
		})
		for _, x := range all {
			h.Add(x)
		}
		flush(t, h)
		found := run(t, "grep", filepath.Dir(h.cfg.Path), marker)
		if secrets != (len(found) > 0) {
			t.Errorf("with secrets kept %v, the files with some are %v", secrets, found)
		}
		for _, x := range all {
			got, err := h.Get(t.Context(), x.ID)
			if err != nil {
				t.Fatal(err)
			}
			if n := max(len(got.Request.Body), len(got.Response.Body)); n > DefaultMaxBody {
				t.Errorf("exchange %s has a body of %d bytes, more than is kept", x.ID, n)
			}
			if got.Redacted == secrets {
				t.Errorf("exchange %s with secrets kept %v: redacted is %v", x.ID, secrets, got.Redacted)
			}
			if where := within(t, got, marker[:8]); secrets != (where != "") {
				t.Errorf("exchange %s with secrets kept %v: there are some in %s", x.ID, secrets, where)
			}
		}
		if len(names) < 20 {
			t.Fatalf("only %d secrets were planted", len(names))
		}
		shut(t, h)
		if found := run(t, "grep", filepath.Dir(h.cfg.Path), marker); secrets != (len(found) > 0) {
			t.Errorf("closed, with secrets kept %v, the files with some are %v", secrets, found)
		}
	}
}

// within says where in an exchange a text occurs, also behind content codings.
func within(t *testing.T, x *exchange.Exchange, text string) string {
	t.Helper()
	all, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string][]byte{"the fields": all, "the request": x.Request.Body, "the answer": x.Response.Body,
		"the request, decoded": decoded(encodeHeader(x.Request.Header), x.Request.Body),
		"the answer, decoded":  decoded(encodeHeader(x.Response.Header), x.Response.Body),
	}
	for i, m := range x.Messages {
		places[fmt.Sprintf("message %d", i)] = m.Data
	}
	for place, content := range places {
		if bytes.Contains(content, []byte(text)) {
			return place
		}
	}
	return ""
}
