package editor

import (
	"net/http"
	"strings"
	"testing"

	"culvert/app/exchange"
	"culvert/app/redact"

	"fyne.io/fyne/v2/test"
)

func TestBodyWithHiddenSecrets(t *testing.T) {
	t.Parallel()
	h := http.Header{"Content-Type": {"application/json"}}
	const body = `{"name":"a","password":"hunter2","page":2,"api_key":"k-123456789"}`
	hidden := hideText(h, body)
	if strings.Contains(hidden.shown, "hunter2") || strings.Contains(hidden.shown, "k-123456789") || !strings.Contains(hidden.shown, `"password":"`+redact.Dots) {
		t.Fatalf("shown as %s", hidden.shown)
	}
	const d = redact.Dots
	for _, tt := range []struct {
		name, text, want string
		ok               bool
	}{
		{"untouched", hidden.shown, body, true},
		{"changed beside them", strings.Replace(hidden.shown, "2", "3", 1), strings.Replace(body, `"page":2`, `"page":3`, 1), true},
		{"one replaced", strings.Replace(hidden.shown, d, "new", 1), strings.Replace(body, "hunter2", "new", 1), true},
		{"one taken out", `{"api_key":"` + d + `"}`, `{"api_key":"k-123456789"}`, true},
		{"another order", `{"api_key":"` + d + `","password":"` + d + `"}`, `{"api_key":"k-123456789","password":"hunter2"}`, true},
		{"another name", strings.Replace(hidden.shown, "password", "pass", 1), strings.Replace(body, "password", "pass", 1), true},
		{"one gone, another name", `{"key":"` + d + `"}`, "", false},
		{"more dots", hidden.shown + d, "", false},
		{"all gone", `{}`, `{}`, true},
	} {
		got, ok := hidden.read(tt.text, false)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: read as %s, %v; want %s, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	if got, ok := hideText(h, `{"dots":"••••••••"}`).read(`{"dots":"••••••••"}`, false); !ok || got != `{"dots":"••••••••"}` {
		t.Errorf("dots of its own are read as %s, %v", got, ok)
	}
}

// Whatever a body is, what was not touched is sent as it came.
func FuzzHiddenText(f *testing.F) {
	f.Add("application/json", `{"password":"a\u00e9","token":"REDACTED"}`)
	f.Add("application/x-www-form-urlencoded", "token=a&token=a&x=REDACTED&••••••••")
	f.Add("", "password: x\n••••••••")
	f.Fuzz(func(t *testing.T, kind, text string) {
		hidden := hideText(http.Header{"Content-Type": {kind}}, text)
		if got, ok := hidden.read(hidden.shown, false); !ok || got != text {
			t.Errorf("%q, shown as %q, is read back as %q, %v", text, hidden.shown, got, ok)
		}
	})
}

func TestSecretsOfABodyAreHidden(t *testing.T) {
	w := window(t, wide)
	var sent []Request
	f := NewReplay(w.Canvas(), ReplayActions{Send: func(_ *exchange.Exchange, r Request, done func(error)) { sent = append(sent, r); done(nil) }})
	x := exchangeWith("/login", http.Header{"Content-Type": {"application/json"}})
	x.Request.Body = []byte(`{"user":"a","password":"hunter2"}`)
	f.Show(ReplayState{Exchange: x, Tunnel: "shop"})
	if strings.Contains(f.body.Text, "hunter2") || f.showSecrets.Hidden {
		t.Fatalf("the body is shown as %s; it can be revealed: %v", f.body.Text, !f.showSecrets.Hidden)
	}
	f.body.SetText(strings.Replace(f.body.Text, `"a"`, `"b"`, 1))
	test.Tap(f.showSecrets)
	if f.body.Text != `{"user":"b","password":"hunter2"}` {
		t.Errorf("revealed, it is %s", f.body.Text)
	}
	f.body.SetText(strings.Replace(f.body.Text, "hunter2", "hunter3", 1))
	test.Tap(f.showSecrets)
	if strings.Contains(f.body.Text, "hunter") {
		t.Errorf("hidden again, it is %s", f.body.Text)
	}
	f.body.SetText(f.body.Text + redact.Dots)
	test.Tap(f.send)
	if len(sent) != 0 {
		t.Fatalf("sent %s", sent[0].Body)
	}
	f.body.SetText(strings.TrimSuffix(f.body.Text, redact.Dots))
	test.Tap(f.send)
	if len(sent) != 1 || string(sent[0].Body) != `{"user":"b","password":"hunter3"}` {
		t.Errorf("sent %+v", sent)
	}
}
