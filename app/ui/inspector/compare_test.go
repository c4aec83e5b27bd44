package inspector

import (
	"strings"
	"testing"
	"time"

	"culvert/app/exchange"
	"culvert/app/inspect"

	"fyne.io/fyne/v2/test"
)

func changed() *exchange.Exchange {
	x := webhook()
	x.ID, x.Status, x.Start = "8", 200, at.Add(time.Minute)
	x.Request.Header.Set("User-Agent", "Stripe/2.0")
	x.Request.Header.Set("Authorization", "Bearer another.secret.altogether")
	return x
}

func TestComparingWithTheNext(t *testing.T) {
	var marked []*exchange.Exchange
	i := newWide(t, func(a *Actions) { a.Marked = func(x *exchange.Exchange) { marked = append(marked, x) } })
	a, b := webhook(), changed()
	i.Inspect(a, nil)
	test.Tap(i.head.compare)
	p := i.pages[compareTab].(*comparison).pane
	if i.tab != compareTab || i.head.compare.Text() != "Stop comparing" {
		t.Fatalf("tab %v, the button says %q", i.tab, i.head.compare.Text())
	}
	wantText(t, p, "Choose another request in the list.")
	i.Inspect(b, nil)
	wantText(t, p, "Request headers", "− User-Agent: Stripe/1.0", "+ User-Agent: Stripe/2.0", "− 500 Internal Server Error", "+ 200 OK")
	wantNoText(t, p, "another.secret", "Request body")
	c := i.pages[compareTab].(*comparison)
	c.changes.Select(1)
	c.tell(false)
	wantText(t, p, "Request body  the same")
	c.changes.Select(0)
	twin := webhook()
	twin.ID = "twin"
	i.Inspect(twin, nil)
	wantText(t, p, "✓ Nothing differs.")
	if got := c.title.Text(); !strings.Contains(got, "− 14:02:11.207") || !strings.Contains(got, "POST /webhooks/stripe") {
		t.Errorf("what is compared is called %q", got)
	}
	test.Tap(i.head.compare)
	if i.tab != overviewTab || i.comparing() || len(i.head.all) != 4 {
		t.Errorf("after comparing: tab %v of %v", i.tab, i.head.tabs.Labels())
	}
	if len(marked) != 2 || marked[0] != a || marked[1] != nil {
		t.Errorf("marked %v", marked)
	}
	i.Compare()
	i.Inspect(nil, nil)
	if i.comparing() || marked[len(marked)-1] != nil {
		t.Error("put away, the inspector still waits for another exchange")
	}
}

func TestReplaysAreComparedWithTheirOriginal(t *testing.T) {
	original := webhook()
	i := newWide(t, func(a *Actions) {
		a.Original = func(id string, then func(*exchange.Exchange)) {
			if id == original.ID {
				then(original)
			} else {
				then(nil)
			}
		}
	})
	x := changed()
	x.ReplayOf = original.ID
	i.Inspect(x, nil)
	p := i.pages[compareTab].(*comparison).pane
	press(t, i.twinAt(overviewTab).panes[request], "A replay.", "Compare with the original")
	wantText(t, p, "+ 200 OK")
	i.Compare()
	gone := changed()
	gone.ID, gone.ReplayOf = "9", "long gone"
	i.Inspect(gone, nil)
	i.Compare()
	wantText(t, p, "Choose another request in the list.")
}

func TestAnOriginalThatComesTooLate(t *testing.T) {
	var then func(*exchange.Exchange)
	i := newWide(t, func(a *Actions) { a.Original = func(_ string, f func(*exchange.Exchange)) { then = f } })
	x := changed()
	x.ReplayOf = "7d1c"
	i.Inspect(x, nil)
	i.Compare()
	i.Inspect(picture(), nil)
	then(webhook())
	if i.comparing() {
		t.Error("what the user has left is compared")
	}
}

func TestDiffLinesSayEverything(t *testing.T) {
	t.Parallel()
	d := &inspect.Diff{Changed: true, Sections: []inspect.Section{
		{Part: inspect.ResponseBody, Changed: true, Coarse: true, Lines: []inspect.DiffLine{
			{Op: inspect.Gap, Skip: 1200}, {Op: inspect.Same, Text: "same"}, {Op: inspect.Removed, Text: strings.Repeat("x", 1000)}, {Op: inspect.Added, Text: "new"},
		}},
		{Part: inspect.RequestBody, Lines: []inspect.DiffLine{{Op: inspect.Same, Text: "quiet"}}},
	}}
	var got []string
	for _, l := range diffLines(d, true) {
		got = append(got, l.text())
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{"Response body", "too different, or too long", "1,200 lines are the same", "  same", "− x", "+ new"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "quiet") || len(text) > 500 {
		t.Errorf("more than the changes, or a line that is too long:\n%s", text)
	}
}
