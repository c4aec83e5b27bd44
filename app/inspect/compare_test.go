package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/app/exchange"
)

// shown is a comparison as text.
func shown(d *Diff) string {
	var out strings.Builder
	for _, s := range d.Sections {
		fmt.Fprintf(&out, "== %d", s.Part)
		if s.Changed {
			out.WriteString(" changed")
		}
		if s.Coarse {
			out.WriteString(" coarse")
		}
		out.WriteString("\n")
		for _, l := range s.Lines {
			if l.Op == Gap {
				fmt.Fprintf(&out, "@%d\n", l.Skip)
				continue
			}
			fmt.Fprintf(&out, "%c%s\n", " -+"[l.Op], l.Text)
		}
	}
	return out.String()
}

func TestCompare(t *testing.T) {
	t.Parallel()
	a := &exchange.Exchange{
		Method: "GET", Path: "/a?token=1", Status: 200,
		Request: exchange.Message{Header: http.Header{"Authorization": {"Bearer abc"}, "Accept": {"*/*"}}},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"application/json"}},
			Body: []byte(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12}`)},
	}
	b := &exchange.Exchange{
		Method: "GET", Path: "/a?token=2", Status: 500, Err: "it failed",
		Request: exchange.Message{Header: http.Header{"Authorization": {"Bearer abd"}, "Accept": {"*/*"}}},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"application/json"}},
			Body: []byte(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":10,"j":10,"k":11,"l":12}`)},
	}
	got, err := Compare(t.Context(), a, b, CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := `== 0 changed
-GET /a?token=••••••••
+GET /a?token=••••••••
== 1 changed
 Accept: */*
-Authorization: Bearer ••••••••
+Authorization: Bearer ••••••••
== 3 changed
-200 OK
+500 Internal Server Error
+it failed
== 4
 Content-Type: application/json
== 5 changed
@6
   "f": 6,
   "g": 7,
   "h": 8,
-  "i": 9,
+  "i": 10,
   "j": 10,
   "k": 11,
   "l": 12
 }
`
	if diff := cmp.Diff(want, shown(got)); diff != "" || !got.Changed {
		t.Errorf("changed: %v: %s", got.Changed, diff)
	}
	open, err := Compare(t.Context(), a, b, CompareOptions{Secrets: true})
	if err != nil || !strings.Contains(shown(open), "-GET /a?token=1\n+GET /a?token=2\n") || !strings.Contains(shown(open), "Bearer abd") {
		t.Errorf("with secrets: %s %v", shown(open), err)
	}
	same, err := Compare(t.Context(), a, a, CompareOptions{})
	if err != nil || same.Changed {
		t.Errorf("with itself: %s %v", shown(same), err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Compare(canceled, a, b, CompareOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestCompareBodies(t *testing.T) {
	t.Parallel()
	message := func(kind, body string) *exchange.Exchange {
		return &exchange.Exchange{Request: typed(kind, body)}
	}
	long := func(word string) string { return strings.Repeat(word+"\n", maxCompared+10) }
	numbers := func(from, to int) string {
		var out strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintln(&out, i)
		}
		return out.String()
	}
	truncated := message("text/plain", "a")
	truncated.Request.Truncated = true
	tests := []struct {
		name            string
		a, b            *exchange.Exchange
		changed, coarse bool
	}{
		{"the same but for blanks in JSON", message("application/json", `{"a":1}`), message("application/json", `{ "a" : 1 }`), false, false},
		{"images", message("image/png", string(encoded(t, "PNG", drawn(3, 3)))), message("image/png", string(encoded(t, "PNG", drawn(3, 4)))), true, false},
		{"too long", message("text/plain", long("a")), message("text/plain", long("a")), false, true},
		{"too different", message("text/plain", "x\n"+numbers(0, 5000)+"y"), message("text/plain", "z\n"+numbers(5000, 10000)+"w"), true, true},
		{"moved", message("text/plain", numbers(0, 3000)), message("text/plain", numbers(500, 3500)), true, false},
		{"cut", truncated, message("text/plain", "a"), false, true},
		{"one has none", message("text/plain", ""), message("text/plain", "a"), true, false},
	}
	for _, test := range tests {
		d, err := Compare(t.Context(), test.a, test.b, CompareOptions{})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(d.Sections, func(s Section) bool { return s.Part == RequestBody })
		s := d.Sections[i]
		// The type is the same, the rest of the exchange too.
		if s.Changed != test.changed || s.Coarse != test.coarse {
			t.Errorf("%s: changed: %v, coarse: %v, %d lines", test.name, s.Changed, s.Coarse, len(s.Lines))
		}
	}
}

func TestDrawable(t *testing.T) {
	t.Parallel()
	if got := drawable("a\r\n\u202eb" + strings.Repeat("x", 5000)); len(got) > 10*MaxRunes || !strings.HasPrefix(got, "a␍␊\uFFFDbx") || !strings.HasSuffix(got, "x…") {
		t.Errorf("%.20q, %d bytes", got, len(got))
	}
}

func FuzzDiff(f *testing.F) {
	f.Add("abcabba", "cbabac")
	f.Add("", "a")
	f.Add("xaxbxc", "abc")
	f.Fuzz(func(t *testing.T, one, two string) {
		if len(one)+len(two) > 2000 {
			return
		}
		a, b := strings.Split(one, ""), strings.Split(two, "")
		ops, exact := diff(t.Context(), a, b)
		var before, after []string
		i, j, edits := 0, 0, 0
		for n, o := range ops {
			if o.count <= 0 || n > 0 && ops[n-1].kind == o.kind {
				t.Fatalf("ops %v", ops)
			}
			switch o.kind {
			case Same:
				before, after = append(before, a[i:i+o.count]...), append(after, a[i:i+o.count]...)
				i, j = i+o.count, j+o.count
			case Removed:
				before = append(before, a[i:i+o.count]...)
				i, edits = i+o.count, edits+o.count
			case Added:
				after = append(after, b[j:j+o.count]...)
				j, edits = j+o.count, edits+o.count
			}
		}
		if !slices.Equal(a, before) || !slices.Equal(b, after) {
			t.Errorf("%v: %q and %q", ops, before, after)
		}
		if len(a) < 40 && len(b) < 40 && (!exact || edits != distance(a, b)) {
			t.Errorf("%v: %d edits, not %d", ops, edits, distance(a, b))
		}
	})
}

// distance is the number of edits of the shortest way, by the plain method.
func distance(a, b []string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := min(row[j], row[j+1]) + 1
			if a[i] == b[j] {
				cost = diagonal
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
