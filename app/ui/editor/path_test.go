package editor

import (
	"strings"
	"testing"

	"culvert/app/exchange"
	"culvert/app/redact"
)

// What is changed beside a hidden secret leaves the secret as it was.
func TestPathWithHiddenSecrets(t *testing.T) {
	t.Parallel()
	x := &exchange.Exchange{Path: "/orders;v=1?page=2&token=SUPERSECRET/1&sort=up&api_key=OTHERSECRET"}
	s := newSecrets(x)
	shown := s.path(false)
	if strings.Contains(shown, "SECRET") {
		t.Fatalf("the path is shown as %s", shown)
	}
	for text, want := range map[string]string{
		shown: x.Path,
		strings.Replace(shown, "page=2", "page=3", 1):      strings.Replace(x.Path, "page=2", "page=3", 1),
		strings.Replace(shown, "/orders", "/old/items", 1): strings.Replace(x.Path, "/orders", "/old/items", 1),
		strings.Replace(shown, "&sort=up", "", 1):          strings.Replace(x.Path, "&sort=up", "", 1),
		"/new?token=mine":                    "/new?token=mine",
		shown + "&more=1":                    x.Path + "&more=1",
		"/a?token=" + redact.Dots + "x":      "",
		"/a?other=" + redact.Dots:            "",
		shown + "&token=" + redact.Dots + "": "",
	} {
		got, ok := s.readPath(text)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s is read as %s, %v; want %s", text, got, ok, want)
		}
	}
}
