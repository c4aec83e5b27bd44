package inspect

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"culvert/app/exchange"
	"culvert/app/redact"
)

// Op is what became of a line.
type Op int

// The ops. Gap stands for lines that are the same and not shown.
const (
	Same Op = iota
	Removed
	Added
	Gap
)

// DiffLine is one line of a comparison.
type DiffLine struct {
	Op   Op
	Text string // "" for Gap
	Skip int    // lines that a Gap stands for
}

// Part is what two exchanges are compared in.
type Part int

// The parts.
const (
	RequestLine Part = iota
	RequestHeader
	RequestBody
	StatusLine
	ResponseHeader
	ResponseBody
)

// Section is one part.
type Section struct {
	Part    Part
	Lines   []DiffLine
	Changed bool
	// Coarse: the bodies differ too much, or are too long, to be compared line by line
	// to their ends, or one of them was not kept whole.
	Coarse bool
}

// Diff is what differs from one exchange to another.
type Diff struct {
	Sections []Section // without those that are empty on both sides
	Changed  bool
}

// CompareOptions are how two exchanges are compared.
type CompareOptions struct {
	Secrets bool // show them; otherwise they are masked, but still compared
}

const (
	// maxCompared bounds the rows of a body that are compared.
	maxCompared = 20_000
	// around is how many lines are shown around one that differs.
	around = 3
)

// text is one side of a part. What is compared is not what is shown if that is
// masked.
type text struct {
	compared, shown []string
	coarse          bool
}

func (t *text) add(compared, shown string) {
	t.compared, t.shown = append(t.compared, compared), append(t.shown, shown)
}

// Compare tells what to change in a to get b. Its error is the context's.
func Compare(ctx context.Context, a, b *exchange.Exchange, o CompareOptions) (*Diff, error) {
	d := &Diff{}
	for _, part := range []struct {
		part Part
		of   func(*exchange.Exchange) (text, error)
	}{
		{RequestLine, func(x *exchange.Exchange) (text, error) { return requestLine(x, o), nil }},
		{RequestHeader, func(x *exchange.Exchange) (text, error) { return header(x.Request.Header, o), nil }},
		{RequestBody, func(x *exchange.Exchange) (text, error) { return body(ctx, x.Request) }},
		{StatusLine, func(x *exchange.Exchange) (text, error) { return statusLine(x), nil }},
		{ResponseHeader, func(x *exchange.Exchange) (text, error) { return header(x.Response.Header, o), nil }},
		{ResponseBody, func(x *exchange.Exchange) (text, error) { return body(ctx, x.Response) }},
	} {
		before, err := part.of(a)
		if err != nil {
			return nil, err
		}
		after, err := part.of(b)
		if err != nil {
			return nil, err
		}
		if len(before.shown)+len(after.shown) == 0 {
			continue
		}
		ops, exact := diff(ctx, before.compared, after.compared)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s := Section{Part: part.part, Coarse: !exact || before.coarse || after.coarse}
		s.Lines, s.Changed = lines(ops, before.shown, after.shown)
		d.Sections = append(d.Sections, s)
		d.Changed = d.Changed || s.Changed
	}
	return d, nil
}

func requestLine(x *exchange.Exchange, o CompareOptions) text {
	var t text
	shown := x.Path
	if !o.Secrets {
		shown, _ = redact.MaskURL(x.Path)
	}
	t.add(x.Method+" "+x.Path, drawable(x.Method+" "+shown))
	return t
}

func statusLine(x *exchange.Exchange) text {
	var t text
	line := strconv.Itoa(x.Status) + " " + http.StatusText(x.Status)
	if x.Status == 0 {
		line = "–"
	}
	t.add(line, line)
	if x.Err != "" {
		t.add(x.Err, drawable(x.Err))
	}
	return t
}

func header(h http.Header, o CompareOptions) text {
	var t text
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range h[name] {
			shown := value
			if !o.Secrets {
				shown, _ = redact.MaskHeader(name, value)
			}
			t.add(name+": "+value, drawable(name+": "+shown))
		}
	}
	return t
}

// drawable is a line that is safe to draw, and no longer than anybody reads.
func drawable(s string) string {
	const most = 8 * MaxRunes
	var w writer
	p := []byte(s)
	w.add(p[:min(len(p), most)], Plain)
	if len(p) > most {
		w.own("…", Plain)
	}
	return w.out.String()
}

func body(ctx context.Context, m exchange.Message) (text, error) {
	v, err := New(ctx, m, Pretty)
	if err != nil {
		return text{}, err
	}
	if v.Image != nil { // to compare, its bytes are what there is
		v.drawn, v.done = dump(v.body), true
	}
	if err := v.More(ctx, maxCompared); err != nil {
		return text{}, err
	}
	n := min(v.Len(), maxCompared)
	t := text{coarse: !v.Done() || n < v.Len() || m.Truncated || m.Dropped}
	for i := range n {
		line := v.Line(i).Text
		t.add(line, line)
	}
	return t, nil
}

// lines puts the two sides together, and leaves out what is far from a difference.
func lines(ops []op, before, after []string) (out []DiffLine, changed bool) {
	i, j := 0, 0
	for n, o := range ops {
		switch o.kind {
		case Removed, Added:
			changed = true
			for range o.count {
				if o.kind == Removed {
					out = append(out, DiffLine{Op: Removed, Text: before[i]})
					i++
				} else {
					out = append(out, DiffLine{Op: Added, Text: after[j]})
					j++
				}
			}
			continue
		}
		head, tail := around, around // shown at the start and at the end of the run
		if n == 0 {
			head = 0
		}
		if n == len(ops)-1 {
			tail = 0
		}
		if o.count <= head+tail+1 {
			head, tail = o.count, 0
		}
		for k := range o.count {
			switch {
			case k < head || k >= o.count-tail:
				out = append(out, DiffLine{Op: Same, Text: before[i]})
			case k == head:
				out = append(out, DiffLine{Op: Gap, Skip: o.count - head - tail})
			}
			i++
			j++
		}
	}
	return out, changed
}
