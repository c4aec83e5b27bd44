package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestActionsInABrowser asks for actions from a web page, which cannot set a header and
// shows its origin, and so has to have a token.
func TestActionsInABrowser(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><script>
window.ask = (name, url, first, messages) => {
	window[name] = ""
	const said = [], ws = new WebSocket(url)
	ws.onopen = () => ws.send(first)
	ws.onmessage = e => { said.push(e.data); messages.length ? ws.send(messages.shift()) : ws.close() }
	ws.onclose = () => window[name] = said.length ? said.join("\n") : "refused"
}
</script>`)
	}))
	t.Cleanup(page.Close)
	required := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret))
	deferred := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret), "--connect-auth", "deferred")
	open := startRelay(t)
	token := tokenOf(t, jwt.MapClaims{"sub": "ann"})
	tab := openTab(t, startBrowser(t))
	tab.navigate(t, page.URL)
	const echo = `'{"action":"echo","data":"✓ <&>"}'`
	authorize := fmt.Sprintf(`'{"action":"authorize","data":{"token":"%s"}}'`, token)
	const done = `{"action":"echo","status":"success","result":"✓ <&>"}`
	for name, tt := range map[string]struct{ url, first, then, want string }{
		"parameter": {required.webSocket() + "/?token=" + token, echo, "", done},
		"nothing":   {required.webSocket(), echo, "", "refused"},
		"no tokens": {open.webSocket(), echo, "", "refused"}, // any page could ask this machine's relay
		"authorize": {deferred.webSocket(), echo, authorize + "," + echo, done},
	} {
		slot := strings.ReplaceAll(name, " ", "_")
		if _, err := tab.eval(fmt.Sprintf(`(ask(%q, %q, %s, [%s]), "")`, slot, tt.url, tt.first, tt.then)); err != nil {
			t.Fatal(err)
		}
		got := tab.await(t, "window."+slot)
		if lines := strings.Split(got, "\n"); lines[len(lines)-1] != tt.want {
			t.Errorf("%s: %s\nwant at the end %s", name, got, tt.want)
		}
		if name == "authorize" && !strings.Contains(got, `"unauthorized"`) {
			t.Errorf("before authorize: %s", got)
		}
	}
}
