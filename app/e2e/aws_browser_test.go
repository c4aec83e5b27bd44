package e2e

import (
	"maps"
	"testing"
)

// testAWSBrowser opens the page of TestChromium behind the AWS backend. What it leaves
// out is AWS's doing: neither HTTP APIs nor Function URLs know upgrades, and an HTTP
// API sends an answer when it is whole, so that a page waits in vain for one that is
// never finished. Bodies are near what 6 MB of JSON hold, which answers by the
// Function URL do not have to fit.
func testAWSBrowser(t *testing.T, aws *account) {
	browser := startBrowser(t)
	a := aws.tunnel(t, page(t))
	whole := map[string]string{
		"style":    "rgb(1, 2, 3)",
		"image":    "17",
		"fetch":    "202 here PUT /api/echo?q=%2F+x yes ein Körper",
		"cookie":   "true session=7 /welcome session=7",
		"download": downloaded(4_000_000),
		"upload":   "same",
	}
	streamed := maps.Clone(whole)
	streamed["stream"] = "first,second"
	streamed["events"] = "1:n=1 2:n=2 3:n=3 4:n=4"
	streamed["download"] = downloaded(20 << 20)
	for form, c := range map[string]struct {
		query string
		want  map[string]string
	}{
		"path":      {"?without=socket,stream,events&download=4000000&upload=4000000", whole},
		"subdomain": {"?without=socket,stream,events&download=4000000&upload=4000000", whole},
		"stream":    {"?without=socket&download=20971520&upload=4000000", streamed},
	} {
		t.Run(form, func(t *testing.T) {
			base := aws.form(a, form)
			start := base + c.query // without the slash at the end, as people copy it
			if form == "subdomain" {
				start = base + "/" + c.query
			}
			checkPage(t, openTab(t, browser), start, base+"/"+c.query, c.want)
		})
	}
}
