package inspector

import (
	"strings"
	"testing"
)

// The frames of a visitor count as a body that was dropped, but are kept as messages.
func TestOverviewOfASocketDoesNotMissItsMessages(t *testing.T) {
	i := newWide(t, nil)
	x := socket()
	x.Open, x.Request.Size, x.Request.Dropped, x.Messages = false, 105, true, frames(14)
	i.Inspect(x, nil)
	if text := readDoc(i.overview(request)); strings.Contains(text, "kept") {
		t.Errorf("the overview says\n%s", text)
	}
	x = socket()
	x.ID, x.Upgrade, x.Open, x.Request.Size, x.Request.Dropped = "5d", "tcp", false, 105, true
	i.Inspect(x, nil)
	if text := readDoc(i.overview(request)); !strings.Contains(text, "Nothing was kept of its 105 B.") {
		t.Errorf("without any message the overview says\n%s", text)
	}
}

func readDoc(d doc) string {
	d.fit(80)
	var b strings.Builder
	for n := range d.len() {
		for _, s := range d.at(n).spans {
			b.WriteString(s.text)
		}
		b.WriteString("\n")
	}
	return b.String()
}
