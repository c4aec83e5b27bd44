package inspector

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/redact"
)

// job is work that goes on in another goroutine. Once stopped, its result is not
// waited for any more.
type job struct {
	cancel  context.CancelFunc
	stopped bool
}

func (j *job) stop() {
	if j != nil {
		j.stopped = true
		j.cancel()
	}
}

// run does work elsewhere and then, unless the job was stopped, what follows from it.
func (i *Inspector) run(work func(context.Context), then func()) *job {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{cancel: cancel}
	i.actions.Prepare(func(window context.Context) {
		defer cancel()
		defer context.AfterFunc(window, cancel)()
		if ctx.Err() == nil {
			work(ctx)
		}
	}, func() {
		if !j.stopped {
			then()
		}
	})
	return j
}

// bodies are one side's, in each mode that was asked for.
type bodies struct {
	modes [inspect.Hex + 1]*prepared
	jobs  []*job
}

func (b *bodies) reset() {
	for _, j := range b.jobs {
		j.stop()
	}
	*b = bodies{}
}

// prepared is a body as it is to be shown. While it is prepared, view is nil.
type prepared struct {
	view    *inspect.View
	masked  bool // secrets were taken out of it
	partial bool // this is only its start; the rest is still looked through
	then    []func()
}

// startBytes is how much of a long body is prepared first. To look for secrets in 10 MB
// takes a good while, the first screen of them must not.
const startBytes = 64 << 10

// prepare lays a body out, the start of a long one before the rest.
func (i *Inspector) prepare(b *bodies, p *prepared, m exchange.Message, mode inspect.Mode) {
	start, hide := m, !i.secrets
	if hide && len(m.Body) > 4*startBytes && !isImage(m) {
		start.Body, start.Truncated = m.Body[:startBytes], true
		p.partial = true
	}
	var view *inspect.View
	var masked bool
	ready := func() {
		p.view, p.masked = view, masked
		waiting := p.then
		p.then = nil
		if view == nil {
			return // given up: nobody looks at it
		}
		for _, f := range waiting {
			f()
		}
	}
	b.jobs = append(b.jobs, i.run(func(ctx context.Context) { view, masked = layOut(ctx, start, mode, hide) }, func() {
		ready()
		if p.partial {
			b.jobs = append(b.jobs, i.run(func(ctx context.Context) { view, masked = layOut(ctx, m, mode, hide) }, func() {
				p.partial = false
				ready()
			}))
		}
	}))
}

func isImage(m exchange.Message) bool {
	return strings.HasPrefix(strings.ToLower(m.Header.Get("Content-Type")), "image/")
}

// isBinary reports whether the bytes are no text, whatever in them may look like a
// secret by chance: neither their type nor they themselves say that they are.
func isBinary(h http.Header, data []byte) bool {
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	family, sub, _ := strings.Cut(t, "/")
	if family == "text" || family == "multipart" || t == "application/x-www-form-urlencoded" ||
		slices.ContainsFunc([]string{"json", "xml", "javascript", "yaml", "graphql"}, func(s string) bool { return strings.Contains(sub, s) }) {
		return false
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return false // UTF-16
	}
	whole := data
	for n := 0; n < utf8.UTFMax && len(whole) > 0; n++ { // the last letter may have been cut
		if r, size := utf8.DecodeLastRune(whole); r != utf8.RuneError || size > 1 {
			break
		}
		whole = whole[:len(whole)-1]
	}
	// Text in an old charset has no such characters.
	return !utf8.Valid(whole) && bytes.ContainsFunc(data, func(r rune) bool {
		return r < ' ' && !strings.ContainsRune("\t\n\f\r\x1b", r)
	})
}

// layOut runs in another goroutine. The view is nil if the work was given up.
func layOut(ctx context.Context, m exchange.Message, mode inspect.Mode, hide bool) (view *inspect.View, masked bool) {
	if hide && len(m.Body) > 0 {
		if body, changed := redact.Body(m.Header, m.Body); changed && !isBinary(m.Header, body) {
			m.Header = m.Header.Clone()
			m.Header.Del("Content-Encoding") // redacted, it comes without
			m.Body, masked = body, true
		}
	}
	view, err := inspect.New(ctx, m, mode)
	if err != nil {
		return nil, false
	}
	return view, masked
}
