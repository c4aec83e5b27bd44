package inspector

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"culvert/app/exchange"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// long is a JSON body of so many bytes, as an export of a shop would be.
func long(size int) *exchange.Exchange {
	var b strings.Builder
	b.WriteByte('[')
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"Product %d","price":%d.50,"tags":["new","sale"],"stock":{"berlin":%d,"prague":null},"visible":true},`, i, i, i%900, i%40)
	}
	body := strings.TrimSuffix(b.String(), ",") + "]"
	return &exchange.Exchange{ID: "long", Start: at, Duration: time.Second, Method: "GET", Path: "/export", Status: 200,
		Response: exchange.Message{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Size: int64(len(body))}}
}

// From choosing an exchange with 10 MB of JSON to its first screen: what the window's
// goroutine does, and what is prepared elsewhere until then.
func BenchmarkFirstScreen10MB(b *testing.B) {
	var waiting []func()
	i, _ := newInspector(b, fyne.NewSize(907, 404), theme.VariantDark, func(a *Actions) {
		a.Prepare = func(work func(context.Context), then func()) {
			waiting = append(waiting, func() { work(context.Background()); then() })
		}
	})
	next := func() {
		f := waiting[0]
		waiting = waiting[1:]
		f()
	}
	x := long(10 << 20)
	i.Inspect(x, nil)
	i.turn(bodyTab)
	v := i.pages[bodyTab].(*bodyPage).sides[response]
	for b.Loop() {
		another := *x
		another.ID = ""
		waiting = nil
		i.Inspect(&another, nil)
		for v.ready == nil {
			next()
		}
		if n := v.rows.len(); n < 20 {
			b.Fatalf("%d rows", n)
		}
	}
	for len(waiting) > 0 {
		next()
	}
	if v.ready.partial || v.rows.len() < 100 {
		b.Fatal("the rest does not come")
	}
}

// One frame while someone scrolls through a long body.
func BenchmarkScroll(b *testing.B) {
	i, _ := newInspector(b, fyne.NewSize(907, 404), theme.VariantDark, nil)
	i.turn(bodyTab)
	i.Inspect(long(10<<20), nil)
	p := i.pages[bodyTab].(*bodyPage).sides[response].pane
	n := 0
	for b.Loop() {
		if n++; n%200 == 0 {
			p.by(-600, 0)
		}
		p.by(3, 0)
	}
}

// One frame of a stream with 5,000 messages per second.
func BenchmarkStreamFrame(b *testing.B) {
	i, _ := newInspector(b, fyne.NewSize(907, 404), theme.VariantDark, nil)
	live := &flowing{messages: frames(1000)}
	i.turn(messagesTab)
	i.Inspect(socket(), live)
	i.turn(messagesTab)
	news := frames(333)
	b.ReportAllocs()
	for b.Loop() {
		live.gone += len(news)
		live.messages = append(live.messages[len(news):], news...)
		i.Sync()
	}
}
