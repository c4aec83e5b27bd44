package redact

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/app/exchange"
)

const jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"token", "access_token", "refreshToken", "ID-Token", "accesstoken", "X-Csrf-Token", "csrfmiddlewaretoken", "password", "PASSWORD", "userPassword",
		"new_password", "passwd", "db_pwd", "client_secret", "clientSecret", "secret", "SECRET_KEY", "api_key", "apiKey", "API-KEY", "apikey", "X-Api-Key",
		"private_key", "aws_secret_access_key", "AccessKey", "signature", "X-Amz-Signature", "sig", "X-Amz-Credential", "X-Amz-Security-Token",
		"authorization", "sessionid", "session_id", "JSESSIONID", "PHPSESSID", "code_verifier", "device_code", "client_assertion", "card[number]", "cvc",
		"user_pass", "smtpPass", "X-Pass", "userpwd", "dbpass", "security_code", "card_number",
		"user[password]", "one-time.otp", "pin", "auth", "JWTToken", "cookies", "credentials", "recovery_codes", "ſecret_token",
	} {
		if !Name(name) {
			t.Errorf("%q is a secret", name)
		}
	}
	for _, name := range []string{
		"", "name", "id", "code", "state", "key", "keys", "token_type", "tokenType", "max_tokens_count", "password_required", "expires_in", "secretary",
		"passed", "author", "design", "signal", "assignee", "authorization_endpoint", "token_endpoint", "spinning", "tokenizer", "public_key", "pass_rate",
		"cookie_policy", "session", "count", "status", "_", "-", "é",
	} {
		if Name(name) {
			t.Errorf("%q is no secret", name)
		}
	}
}

func TestHeaderNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token", "X-Hub-Signature-256", "Stripe-Signature",
		"X-Amz-Security-Token", "X-Functions-Key", "Ocp-Apim-Subscription-Key", "X-Goog-Api-Key", "Apikey", "X-Telegram-Bot-Api-Secret-Token",
		"X-Auth", "Authentication", "X-Session", "X-User-Pass",
		"DPoP", "X-Shopify-Hmac-Sha256", "X-Webhook-Secret", "X-Signature-Ed25519", "Culvert-Auth-Key",
	} {
		if !Header(name) {
			t.Errorf("%q is a secret", name)
		}
	}
	for _, name := range []string{
		"Host", "Content-Type", "Accept", "User-Agent", "Sec-WebSocket-Key", "Idempotency-Key", "WWW-Authenticate", "X-Request-Id", "Etag",
		"X-Forwarded-For", "Access-Control-Allow-Credentials-Type", "Cache-Key", "X-Slack-Request-Timestamp", "Location", "Content-Encoding",
	} {
		if Header(name) {
			t.Errorf("%q is no secret", name)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value, want string }{
		{"Authorization", "Bearer abc.def", "Bearer REDACTED"},
		{"Authorization", "Basic dXNlcjpwYXNz", "Basic REDACTED"},
		{"Authorization", "Digest username=\"Mufasa\", response=\"6629\"", "Digest REDACTED"},
		{"Authorization", "my own secret", "REDACTED"},
		{"Authorization", "opaque", "REDACTED"},
		{"Authorization", "", ""},
		{"Proxy-Authorization", "Negotiate YII=", "Negotiate REDACTED"},
		{"Cookie", "sid=abc; theme=dark; flag", "sid=REDACTED; theme=REDACTED; REDACTED"},
		{"Set-Cookie", "sid=abc=; Path=/; HttpOnly; SameSite=Lax", "sid=REDACTED; Path=/; HttpOnly; SameSite=Lax"},
		{"Set-Cookie", "sid=; Max-Age=0", "sid=; Max-Age=0"},
		{"Set-Cookie", "a=b; path=/x; token=c; Secure", "a=REDACTED; path=/x; token=REDACTED; Secure"},
		{"X-Api-Key", "abc", "REDACTED"},
		{"Stripe-Signature", "t=1,v1=5257a869", "REDACTED"},
		{"Location", "/callback?code=4/P7q7W91&state=xyz", "/callback?code=REDACTED&state=xyz"},
		{"Location", "https://a.example/#access_token=2YotnFZ&token_type=bearer", "https://a.example/#access_token=REDACTED&token_type=bearer"},
		{"Referer", "https://a.example/reset?token=123#x", "https://a.example/reset?token=REDACTED#x"},
		{"Link", "<https://a.example/next?page=2&api_key=123>; rel=\"next\"", "<https://a.example/next?page=2&api_key=REDACTED>; rel=\"next\""},
		{"X-Forwarded-Access", jwt, "REDACTED"},
		{"X-Note", "try Bearer abcdefgh1234.5678 next", "try Bearer REDACTED next"},
		{"Sec-WebSocket-Protocol", "graphql-ws, base64url.bearer.authorization.k8s.io.ZXlKaGJHY2lPaUpTVXpJMU5pSXNJ", "graphql-ws, REDACTED"},
		{"Content-Type", "application/json; charset=utf-8", "application/json; charset=utf-8"},
		{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"},
	}
	for _, test := range tests {
		in := http.Header{test.name: {test.value}}
		got, _ := copies.headers(in)
		if got[test.name][0] != test.want {
			t.Errorf("%s: %s: %q", test.name, test.value, got[test.name][0])
		}
		if in[test.name][0] != test.value {
			t.Errorf("%s: it was changed in place", test.name)
		}
		shown, masked := MaskHeader(test.name, test.value)
		if want := strings.ReplaceAll(test.want, Placeholder, Dots); shown != want || masked != (test.want != test.value) {
			t.Errorf("%s: shown as %q, masked: %v", test.name, shown, masked)
		}
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	tests := []struct{ raw, want string }{
		{"", ""},
		{"/", "/"},
		{"/a?b=c&d", "/a?b=c&d"},
		{"/a?Token=%41bc&b=%zz", "/a?Token=REDACTED&b=%zz"},
		{"/a?to%6ben=abc;b=1", "/a?to%6ben=REDACTED"},
		{"/a?b=1;token=abc&c", "/a?b=1;token=REDACTED&c"},
		{"/a?token=", "/a?token="},
		{"/oauth?code=abc&state=1", "/oauth?code=REDACTED&state=1"},
		{"/error?code=404", "/error?code=404"},
		{"/verify/" + jwt, "/verify/REDACTED"},
		{"/x?next=" + jwt, "/x?next=REDACTED"},
		{"/x?next=%2Flogin%3Ftoken%3Dabc%26a%3Db", "/x?next=%2Flogin%3Ftoken%3DREDACTED%26a%3Db"},
		{"/bot123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-ab/getMe", "/REDACTED/getMe"},
		{"/a;jsessionid=1A2B;v=1/b;SID=x?c=d", "/a;jsessionid=REDACTED;v=1/b;SID=REDACTED?c=d"},
		{"https://user:pass@host.example/x", "https://user:REDACTED@host.example/x"},
		{"https://ghp_abcdefghijklmnopqrstuvwxyz0123456789@github.com/x", "https://REDACTED@github.com/x"},
		{"https://s3.example/o?X-Amz-Credential=AKIA%2F2026&X-Amz-Date=2026&X-Amz-Signature=fe5f", "https://s3.example/o?X-Amz-Credential=REDACTED&X-Amz-Date=2026&X-Amz-Signature=REDACTED"},
		{"/x?payload=%7B%22password%22%3A%22p%22%2C%22a%22%3A1%7D", "/x?payload=%7B%22password%22%3A%22REDACTED%22%2C%22a%22%3A1%7D"},
	}
	for _, test := range tests {
		if got, _ := copies.url(test.raw); got != test.want {
			t.Errorf("%s: %s", test.raw, got)
		}
		shown, masked := MaskURL(test.raw)
		if masked != (test.raw != test.want) || shown != strings.ReplaceAll(test.want, Placeholder, Dots) {
			t.Errorf("%s: shown as %s, masked: %v", test.raw, shown, masked)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const form, js, plain, xml, html = "application/x-www-form-urlencoded", "application/json", "text/plain", "application/soap+xml", "text/html; charset=utf-8"
	boundary := "multipart/form-data; boundary=xyz"
	tests := []struct{ kind, body, want string }{
		{js, `{"user":"u","password":"p"}`, `{"user":"u","password":"REDACTED"}`},
		{js, "{ \"n\" : 1.50,\r\n\t\"Token\" :\t\"abc\" , \"x\":[ ] }", "{ \"n\" : 1.50,\r\n\t\"Token\" :\t\"REDACTED\" , \"x\":[ ] }"},
		{js, `{"pass\u0077ord":"a\"b","n":1}`, `{"pass\u0077ord":"REDACTED","n":1}`},
		{js, `{"secret":{"a":"b","n":12,"c":["d"]},"e":"f"}`, `{"secret":{"a":"REDACTED","n":"REDACTED","c":["REDACTED"]},"e":"f"}`},
		{js, `{"tokens":["a","b"],"max_tokens":4096,"usage":{"total_tokens":3}}`, `{"tokens":["REDACTED","REDACTED"],"max_tokens":4096,"usage":{"total_tokens":3}}`},
		{js, `{"otp":123456,"ok":true,"secret":null}`, `{"otp":"REDACTED","ok":true,"secret":null}`},
		{js, `{"code":"not_found","token":""}`, `{"code":"not_found","token":""}`},
		{js, `{"grant_type":"authorization_code","code":"abc"}`, `{"grant_type":"authorization_code","code":"REDACTED"}`},
		{js, `["` + jwt + `"]`, `["REDACTED"]`},
		{js, `{"Message":"{\"password\":\"p\",\"n\":1}"}`, `{"Message":"{\"password\":\"REDACTED\",\"n\":1}"}`},
		{js, `{"url":"https:\/\/a.example\/?token=abc&x=1"}`, `{"url":"https://a.example/?token=REDACTED&x=1"}`},
		{js, `[{"name":"Authorization","value":"x y"},{"name":"Accept","value":"z"}]`, `[{"name":"Authorization","value":"REDACTED"},{"name":"Accept","value":"z"}]`},
		{js, `[{"value":"x y","name":"Authorization"},{"value":"z","name":"Accept"},{"value":{"a":["b",1]},"key":"x","name":"pin"}]`,
			`[{"value":"REDACTED","name":"Authorization"},{"value":"z","name":"Accept"},{"value":{"a":["REDACTED","REDACTED"]},"key":"x","name":"pin"}]`},
		{js, `{"name":"Authorization","key":"x","value":"y"}`, `{"name":"Authorization","key":"x","value":"REDACTED"}`},
		{js, `"value":"x","name":"token"`, `"value":"REDACTED","name":"token"`},
		{js, `{"card_number":4111111111111111,"security_code":123,"verification_code":123456,"n":1}`, `{"card_number":"REDACTED","security_code":"REDACTED","verification_code":"REDACTED","n":1}`},
		{js, `{"user_pass":"a","smtpPass":"b","userpwd":"c","pass_rate":"d","bypass":"e"}`, `{"user_pass":"REDACTED","smtpPass":"REDACTED","userpwd":"REDACTED","pass_rate":"d","bypass":"e"}`},
		{js, `{'password':'p','n':'m'}`, `{'password':'REDACTED','n':'m'}`},
		{js + "; charset=utf-16", utf16le(`{"password":"p","é":"日"}`), utf16le(`{"password":"REDACTED","é":"日"}`)},
		{plain, "\xfe\xff" + utf16be("token=abc\n𝄞"), "\xfe\xff" + utf16be("token=REDACTED\n𝄞")},
		{"image/png", `{"password":"p"}`, `{"password":"REDACTED"}`},
		{"audio/mpeg", "a=b&token=" + strings.Repeat("é", 300), "a=b&token=REDACTED"},
		{"multipart/form-data", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\np\r\n--b--", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nREDACTED\r\n--b--"},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"password\"; filename=a b\r\n\r\np\r\n--b--", "--b\r\nContent-Disposition: form-data; name=\"password\"; filename=a b\r\n\r\nREDACTED\r\n--b--"},
		{xml, `<a><Password><Value>p</Value><Other/>q<Password/><Password>r</Password>s</Password>t</a>`, `<a><Password>REDACTED</Password>t</a>`},
		{xml, `<a><Secret><![CDATA[</Secret>p]]></Secret>q</a>`, `<a><Secret>REDACTED</Secret>q</a>`},
		{xml, `<Token> </Token><a token = "x" b = 'c'>d</a>`, `<Token> </Token><a token = "REDACTED" b = 'c'>d</a>`},
		{html, `<input type=hidden name=csrf_token value=abc><input value=d name=q>`, `<input type=hidden name=csrf_token value=REDACTED><input value=d name=q>`},
		{js, `{"password":"cut in the mid`, `{"password":"REDACTED`},
		{js, `{"a":"b"}{"password":"p"}`, `{"a":"b"}{"password":"REDACTED"}`},
		{js, `]]}}{"password":"p"`, `]]}}{"password":"REDACTED"`},
		{"", `{"password":"p"}`, `{"password":"REDACTED"}`},
		{"text/plain", "\ufeff {\"password\":\"p\"}", "\ufeff {\"password\":\"REDACTED\"}"},
		{form, "user=u&password=p%20q&x=1", "user=u&password=REDACTED&x=1"},
		{form, "payload=%7B%22token%22%3A%22abc%22%7D", "payload=%7B%22token%22%3A%22REDACTED%22%7D"},
		{form, "grant_type=authorization_code&code=abc", "grant_type=authorization_code&code=REDACTED"},
		{"", "user=u&password=p", "user=u&password=REDACTED"},
		{boundary, "--xyz\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\np\r\nq\r\n--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n{\"token\":\"t\"}\r\n--xyz--\r\n",
			"--xyz\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nREDACTED\r\n--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n{\"token\":\"REDACTED\"}\r\n--xyz--\r\n"},
		{boundary, "--xyz\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\ncut in", "--xyz\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nREDACTED"},
		{xml, `<s:Envelope><wsse:Password Type="x">p</wsse:Password><a apiKey="k">b</a></s:Envelope>`, `<s:Envelope><wsse:Password Type="x">REDACTED</wsse:Password><a apiKey="REDACTED">b</a></s:Envelope>`},
		{xml, `<password><![CDATA[p]]></password><token/><secret>cut`, `<password>REDACTED</password><token/><secret>REDACTED`},
		{html, `<input type="hidden" name="csrf_token" value="abc"><input name="q" value="d">`, `<input type="hidden" name="csrf_token" value="REDACTED"><input name="q" value="d">`},
		{html, `<meta content='abc' name="csrf-token"><a href="/x?token=abc">y</a>`, `<meta content='REDACTED' name="csrf-token"><a href="/x?token=REDACTED">y</a>`},
		{plain, "PASSWORD=p q\nexport API_KEY='k'\nname: n\nsecret: s\n", "PASSWORD=REDACTED\nexport API_KEY=REDACTED\nname: n\nsecret: REDACTED\n"},
		{plain, "Invalid token: no such user", "Invalid token: no such user"},
		{plain, "GET / HTTP/1.1\r\nAuthorization: Bearer x\r\nCookie: a=b\r\n", "GET / HTTP/1.1\r\nAuthorization: Bearer REDACTED\r\nCookie: a=REDACTED\r\n"},
		{plain, "a ghp_abcdefghijklmnopqrstuvwxyz0123456789, and sk-ant-api03-abcdefghijklmnop", "a REDACTED, and REDACTED"},
		{plain, "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----REDACTED-----END RSA PRIVATE KEY-----\n"},
		{plain, "postgres://u:p@db/x and http://a.example:80/@", "postgres://u:REDACTED@db/x and http://a.example:80/@"},
		{plain, "Basic understanding; Basic dXNlcjpwYXNz", "Basic understanding; Basic REDACTED"},
		{"text/event-stream", "event: a\ndata: {\"token\":\"abc\"}\n\n", "event: a\ndata: {\"token\":\"REDACTED\"}\n\n"},
		{html, `<a href="/x?a=1&amp;token=abc&amp;b=2">`, `<a href="/x?a=1&amp;token=REDACTED&amp;b=2">`},
		{html, `<script>window.x = {"token": "abc\"d", 'secret':'s', apiKey: "k", n: "m"}</script>`, `<script>window.x = {"token": "REDACTED", 'secret':'REDACTED', apiKey: "REDACTED", n: "m"}</script>`},
		{"application/javascript", `u="/x?a=1\u0026token=abc"`, `u="/x?a=1\u0026token=REDACTED"`},
		{plain, "log: sent {\"password\":\"p q\"} to a\npassword: correct horse\nsecret: 'a b'\n", "log: sent {\"password\":\"REDACTED\"} to a\npassword: REDACTED\nsecret: REDACTED\n"},
		{"application/javascript", "const token = get(); let a = {password: x}", "const token = get(); let a = {password: x}"},
		{"image/png", "\x89PNG password=p&token=t", "\x89PNG password=p&token=t"},
		{"application/octet-stream", "\x00\x01" + jwt + "\x00", "\x00\x01REDACTED\x00"},
	}
	for _, test := range tests {
		got, changed := Body(http.Header{"Content-Type": {test.kind}}, []byte(test.body))
		if string(got) != test.want || changed != (test.body != test.want) {
			t.Errorf("%s %s:\n%s\n%s, changed: %v", test.kind, test.body, cmp.Diff(test.want, string(got)), got, changed)
		}
		again, changed := Body(http.Header{"Content-Type": {test.kind}}, got)
		if changed {
			t.Errorf("%s: once more it becomes %s", test.body, again)
		}
	}
}

func utf16le(s string) string {
	return string(toUTF16([]byte(s), binary.LittleEndian))
}

func utf16be(s string) string {
	return string(toUTF16([]byte(s), binary.BigEndian))
}

func gzipped(s string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	io.WriteString(w, s)
	w.Close()
	return out.Bytes()
}

func TestExchange(t *testing.T) {
	t.Parallel()
	plain := &exchange.Exchange{ID: "1", Path: "/a?b=c", Request: exchange.Message{Header: http.Header{"Accept": {"*/*"}}},
		Response: exchange.Message{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: gzipped("plain text")},
		Messages: []exchange.StreamMessage{{Data: []byte("hello")}}}
	if got := Exchange(plain); got != plain {
		t.Errorf("without secrets it is %+v", got)
	}

	body := gzipped(`{"password":"p"}`)
	x := &exchange.Exchange{
		ID: "2", URL: "https://a.example/?token=t", Path: "/?token=t", Err: "asked https://u:p@a.example", Detail: "Bearer abcdefgh1234567",
		Request:  exchange.Message{Header: http.Header{"Cookie": {"a=b"}, "Accept": {"*/*"}}, Body: []byte("x"), Size: 1},
		Response: exchange.Message{Header: http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"application/json"}}, Body: body, Size: int64(len(body))},
		Messages: []exchange.StreamMessage{{Data: []byte("hello"), Size: 5}, {Data: []byte(`{"token":"t"}`), Size: 13}},
	}
	x.Host, x.Upgrade = jwt, "Bearer abcdefgh1234567"
	x.Messages = append(x.Messages, exchange.StreamMessage{Kind: exchange.Event, LastID: jwt, Name: "a " + jwt, Data: []byte("b")})
	before := *x
	got := Exchange(x)
	want := &exchange.Exchange{
		ID: "2", URL: "https://a.example/?token=REDACTED", Path: "/?token=REDACTED", Err: "asked https://u:REDACTED@a.example", Detail: "Bearer REDACTED",
		Request:  exchange.Message{Header: http.Header{"Cookie": {"a=REDACTED"}, "Accept": {"*/*"}}, Body: []byte("x"), Size: 1},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"password":"REDACTED"}`), Size: int64(len(body))},
		Messages: []exchange.StreamMessage{{Data: []byte("hello"), Size: 5}, {Data: []byte(`{"token":"REDACTED"}`), Size: 13},
			{Kind: exchange.Event, LastID: "REDACTED", Name: "a REDACTED", Data: []byte("b")}},
		Host: "REDACTED", Upgrade: "Bearer REDACTED", Redacted: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&before, x); diff != "" || string(x.Messages[1].Data) != `{"token":"t"}` || x.Response.Header.Get("Content-Encoding") == "" {
		t.Errorf("the exchange itself was changed: %s", diff)
	}
	if again := Exchange(got); again.Response.Body == nil || !cmp.Equal(again, got) {
		t.Errorf("once more: %s", cmp.Diff(got, again))
	}
}

// TestCompressedBodies checks that nothing is kept that has not been looked at.
func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	header := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	long := exchange.Message{Header: header, Body: gzipped(strings.Repeat(" ", 2*freeDecoded) + `{"password":"p"}`)}
	if got, found := Message(long); !found || !got.Truncated || len(got.Body) != freeDecoded {
		t.Errorf("beyond the limit: %d bytes, truncated: %v", len(got.Body), got.Truncated)
	}
	whole := gzipped(`{"password":"p","x":"` + strings.Repeat("abc", 99) + `"}`)
	cut := exchange.Message{Header: header, Body: whole[:len(whole)-9]}
	if got, found := Message(cut); !found || !got.Truncated || !strings.HasPrefix(string(got.Body), `{"password":"REDACTED","x":`) {
		t.Errorf("cut: %q, truncated: %v", got.Body, got.Truncated)
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	secretless := gzipped(strings.Repeat("abc ", 1000))
	x := &exchange.Exchange{Response: exchange.Message{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: secretless, Size: int64(len(secretless))}}
	got, err := Within(t.Context(), x, 4000)
	if got != x || err != nil {
		t.Errorf("all is wanted: %+v, %v", got, err)
	}
	got, err = Within(t.Context(), x, 3999)
	if err != nil || len(got.Response.Body) != 3999 || !got.Response.Truncated || got.Response.Header.Get("Content-Encoding") != "" || !got.Redacted {
		t.Errorf("not all is wanted: %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := Within(ctx, x, 4000); got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %+v, %v", got, err)
	}
}

var kinds = []string{"", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/xml", "text/plain", "text/event-stream", "image/png"}

func FuzzBody(f *testing.F) {
	for i, seed := range []string{
		"", `{"a":["b",{"password":"c"}]}`, "a=b&token=c", "--b\r\nContent-Disposition: form-data; name=\"pin\"\r\n\r\n1\r\n--b--", "<a token='b'>c</a>",
		"KEY=x\nsecret: y", "data: {\"token\":\"x\"}", jwt,
	} {
		f.Add(uint8(i), seed)
	}
	f.Fuzz(func(t *testing.T, kind uint8, body string) {
		header := http.Header{"Content-Type": {kinds[int(kind)%len(kinds)]}}
		got, changed := Body(header, []byte(body))
		if changed == (string(got) == body) {
			t.Errorf("changed: %v, to %q", changed, got)
		}
	})
}

// FuzzJSON plants a secret into JSON that may be broken in any way.
func FuzzJSON(f *testing.F) {
	f.Add(`{"a":1,`, `}`)
	f.Add(`[{"secret`, `]`)
	f.Fuzz(func(t *testing.T, before, after string) {
		// Within a string that is open it is no field, and before a colon a name.
		if strings.ContainsAny(before, `"\`) || strings.HasPrefix(strings.TrimSpace(after), ":") {
			return
		}
		const planted = "correct horse"
		got, _ := copies.json([]byte(before + `"password":"` + planted + `"` + after))
		if !strings.Contains(before+after, planted) && strings.Contains(string(got), planted) {
			t.Errorf("%q", got)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("https://u:p@h/?token=x#" + jwt + " Bearer abc.def.12345 -----BEGIN PRIVATE KEY-----x")
	f.Fuzz(func(t *testing.T, s string) {
		once := Text(s)
		if twice := Text(once); twice != once {
			t.Errorf("%q becomes %q", once, twice)
		}
		copies.url(s)
		MaskHeader("Cookie", s)
		MaskHeader("Authorization", s)
	})
}

func BenchmarkJSON(b *testing.B) {
	body := []byte("[" + strings.Repeat(`{"id":12345,"name":"A name of some length","tags":["one","two"],"createdAt":"2026-01-02T03:04:05Z"},`, 2500) + "{}]")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		copies.json(body)
	}
}

// TestHostileTexts would take minutes if anything were quadratic.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for _, unit := range []string{"eyJ", "_eyJ", ".eyJ", "-eyJ.", "eyJabcdefgh.", "eyJ0eXAiOi.", ".", "a.", "://", "?a", "&token=", "<token>", "</token>", "<a b=\"", "<a b=", "-----BEGIN PRIVATE KEY-----",
		"Bearer ", "{\"a\":", "[", "&amp;", "amp;", "\"token\":\"", "'token' :", "token:\"x'", "\\u0026", "&a;", ";a=", "\"\\\"", "token: ", "--b\r\n", "--b\n\n", "1234567890:",
		`{"value":1,"name":"token"},`, `{"value":{"value":`, "a\x00"} {
		body := []byte(" .." + strings.Repeat(unit, size/len(unit)))
		for _, kind := range kinds {
			Body(http.Header{"Content-Type": {kind}}, body)
		}
	}
}

// TestHostileWord would take longer than tests may.
func TestHostileWord(t *testing.T) {
	t.Parallel()
	Body(http.Header{"Content-Type": {"text/plain"}}, []byte(" .."+strings.Repeat("eyJ", maxDecoded/3)))
}

func TestDeepJSON(t *testing.T) {
	t.Parallel()
	const deep = 3 * maxNested
	before, after := strings.Repeat(`{"a":[`, deep), strings.Repeat("]}", deep)
	got, _ := copies.json([]byte(before + `{"password":"p","b":"c"}` + after + `,{"token":"t","d":"e"}`))
	if want := before + `{"password":"REDACTED","b":"c"}` + after + `,{"token":"REDACTED","d":"e"}`; string(got) != want {
		t.Errorf("%.60q", strings.Trim(string(got), `{"a:[]}`))
	}
	s := scan{painter: copies, edit: edit{source: []byte(strings.Repeat("[", 1<<16))}}
	if s.run(); len(s.outer) > maxNested {
		t.Errorf("%d containers are kept in mind", len(s.outer))
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	long := "eyJ" + strings.Repeat("x", maxHead)
	for word, want := range map[string]string{
		"a.b.c_" + jwt + "-x":              "a.b.c_REDACTED",
		jwt[:20] + "." + jwt:               "REDACTED",
		"x.y.z.w.eyJhbGciOi.." + "abc.def": "x.y.z.w.REDACTED",
		"eyJ.eyJ.eyJ.eyJhbGciOiJI.abcd.ef": "eyJ.eyJ.eyJ.REDACTED",
		"aeyJhbGciOiJIUzI1NiJ9.abcdef.xyz": "aeyJhbGciOiJIUzI1NiJ9.abcdef.xyz",
		"eyJhbGciOiJIUzI1NiJ9.abc.xyz.uvw": "eyJhbGciOiJIUzI1NiJ9.abc.xyz.uvw",
		"eyJhbGciOiJIUzI1NiJ9.abcdefghijk": "eyJhbGciOiJIUzI1NiJ9.abcdefghijk",
		long + "_eyJhbGciOiJI.abcd.ef":     long + "_REDACTED",
	} {
		if got := Text(word); got != want {
			t.Errorf("%.60q: %.60q", word, got)
		}
	}
}

// BenchmarkHostile would be slower per byte for the longer ones if anything were
// quadratic.
func BenchmarkHostile(b *testing.B) {
	for _, n := range []int{1 << 12, 1 << 16, 1 << 20} {
		body := []byte(" .." + strings.Repeat("eyJ", n/3))
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				copies.credentials(body)
			}
		})
	}
}

func BenchmarkExchange(b *testing.B) {
	x := &exchange.Exchange{
		URL: "https://shop.tunnel.example/v1/items?page=2&sort=asc", Path: "/v1/items?page=2&sort=asc",
		Request: exchange.Message{Header: http.Header{"Accept": {"application/json"}, "User-Agent": {"Mozilla/5.0 (X11; Linux x86_64)"}, "Cookie": {"sid=abc; theme=dark"}, "X-Request-Id": {"0b5c8c1e"}}},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Fri, 02 Jan 2026 12:00:00 GMT"}, "Etag": {"\"abc\""}},
			Body: []byte("[" + strings.Repeat(`{"id":12345,"name":"A name of some length"},`, 20) + "{}]")},
	}
	b.ReportAllocs()
	for b.Loop() {
		Exchange(x)
	}
}

func BenchmarkBinary(b *testing.B) {
	body := bytes.Repeat([]byte("\x00\x01\xf7abcdefgh"), 25_000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		copies.body("application/octet-stream", body)
	}
}
