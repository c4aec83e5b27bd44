package tomledit

import (
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func decode(text string) (map[string]any, error) {
	var all map[string]any
	_, err := toml.Decode(text, &all)
	return all, err
}

func TestStrings(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", `a"b\c`, "tab\tline\r\nbell\a\x7f", "žluťoučký 日本 😀", "�", `C:\Users\x`, "#'''"} {
		all, err := decode(Key(s) + " = " + String(s))
		if got, ok := all[s]; err != nil || !ok || got != s {
			t.Errorf("%q: %q, %v", s, all, err)
		}
	}
	if _, err := decode("a = " + String("\xff")); err == nil {
		t.Error("what is no text has become one")
	}
	if got := Keys("a", "b c", "").Append(Step{Elem: 2}).String(); got != `a."b c".""[2]` {
		t.Error(got)
	}
}

func TestSetAndRemove(t *testing.T) {
	t.Parallel()
	name := func(keys ...string) Path { return Keys(keys...) }
	for _, c := range []struct {
		text string
		at   Path
		set  string // the text after setting 9
		gone string // and after removing from the first text
	}{
		{"", name("a"), "a = 9\n", ""},
		{"a = 1", name("a"), "a = 9", ""},
		{"  a=1 # c\nb = 2\n", name("a"), "  a=9 # c\nb = 2\n", "b = 2\n"},
		{"a = \"\"\"\n# no \\\"\"\" comment\n\"\"\"\"\" # c\nb = 1\n", name("a"), "a = 9 # c\nb = 1\n", "b = 1\n"},
		{"a = '''\n[x]\n''' # c\nb = 1\n", name("a"), "a = 9 # c\nb = 1\n", "b = 1\n"},
		{"a = [ 1, # x ]\n [2], ']' ] # c\nb = 1\n", name("a"), "a = 9 # c\nb = 1\n", "b = 1\n"},
		{"a = 1979-05-27 07:32:00 # c\n", name("a"), "a = 9 # c\n", ""},
		{"a = {x = 1, y = {z = 2}, w = 3}\n", name("a", "y", "z"), "a = {x = 1, y = {z = 9}, w = 3}\n", "a = {x = 1, y = {}, w = 3}\n"},
		{"a = {x = 1, y = 2, z = 3}\n", name("a", "y"), "a = {x = 1, y = 9, z = 3}\n", "a = {x = 1, z = 3}\n"},
		{"a = {x = 1, y = 2}\n", name("a", "y"), "a = {x = 1, y = 9}\n", "a = {x = 1}\n"},
		{"a = {x = 1}\n", name("a", "x"), "a = {x = 9}\n", "a = {}\n"},
		{"a = { x = 1 }\n", name("a", "y"), "a = { x = 1, y = 9 }\n", "a = { x = 1 }\n"},
		{"a = {\n  x = 1, # c\n}\n", name("a", "y"), "a = {\n  x = 1, # c\n  y = 9,\n}\n", "a = {\n  x = 1, # c\n}\n"},
		{"a = {\n  x = 1 # c\n}\n", name("a", "y"), "a = {\n  x = 1, # c\n  y = 9\n}\n", "a = {\n  x = 1 # c\n}\n"},
		{"a = {}\n", name("a", "b", "c"), "a = { b.c = 9 }\n", "a = {}\n"},
		{"a.b.c = 1\n", name("a", "b", "d"), "a.b.c = 1\na.b.d = 9\n", "a.b.c = 1\n"},
		{"a.b.c = 1\n", name("a", "d", "e"), "a.b.c = 1\na.d.e = 9\n", "a.b.c = 1\n"},
		{"[t]\na.b = 1\n[u]\n", name("t", "a", "c"), "[t]\na.b = 1\na.c = 9\n[u]\n", "[t]\na.b = 1\n[u]\n"},
		{"[ a . \"b\" ] # c\n\tx = 1\n\n# of c\n[c]\n", name("a", "b", "y"), "[ a . \"b\" ] # c\n\tx = 1\n\ty = 9\n\n# of c\n[c]\n", "[ a . \"b\" ] # c\n\tx = 1\n\n# of c\n[c]\n"},
		{"[a.b]\nx = 1\n", name("a", "y"), "[a.b]\nx = 1\n\n[a]\ny = 9\n", "[a.b]\nx = 1\n"},
		{"# top\n\n# of a\n[a]\nx = 1\n# tail\n\n[b]\ny = 1\n", name("a", "x"), "# top\n\n# of a\n[a]\nx = 9\n# tail\n\n[b]\ny = 1\n", "# top\n\n# of a\n[a]\n# tail\n\n[b]\ny = 1\n"},
		{"# top\n[a]\nx = 1", name("y"), "# top\ny = 9\n\n[a]\nx = 1", "# top\n[a]\nx = 1"},
	} {
		if got, err := Set(c.text, c.at, "9"); err != nil || got != c.set {
			t.Errorf("setting %s in %q\ngot  %q, %v\nwant %q", c.at, c.text, got, err, c.set)
		}
		if got, err := Remove(c.text, c.at); err != nil || got != c.gone {
			t.Errorf("removing %s from %q\ngot  %q, %v\nwant %q", c.at, c.text, got, err, c.gone)
		}
	}
}

func TestRemoveTables(t *testing.T) {
	t.Parallel()
	const text = "# top\n\n# of a\n[a]\nx = 1\n# tail\n\n[a.b]\ny = 1\n\n# of c\n[c]\nz = 1\n"
	got, err := Remove(text, Keys("a"))
	if want := "# top\n\n# of c\n[c]\nz = 1\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	got, err = Remove(text, Keys("c"))
	if want := "# top\n\n# of a\n[a]\nx = 1\n# tail\n\n[a.b]\ny = 1\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	const text = "# c\na = 1\n[b]\nc = [\n  1,\n  2,\n]\n[[d]]\n[[d]]\ne = 1\n"
	for want, p := range map[int]Path{
		2: Keys("a"), 3: Keys("b"), 4: Keys("b", "c"), 6: Keys("b", "c").Append(Step{Elem: 2}),
		9: {{Key: "d"}, {Elem: 2}}, 10: {{Key: "D", Fold: true}, {Elem: 2}, {Key: "E", Fold: true}}, 0: Keys("e"),
	} {
		if got := Line(text, p); got != want {
			t.Errorf("%s: line %d, want %d", p, got, want)
		}
	}
}

func TestOrderIsWhole(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{1, 1}, {0, 1}, {1, 3}, {2}} {
		if _, err := Order("[[a]]\n[[a]]\n", Step{Key: "a"}, order); err == nil {
			t.Errorf("%v", order)
		}
	}
	if got, err := Order("a = [1, {}]", Step{Key: "a"}, []int{2, 1}); err != nil || got != "a = [{}, 1]" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a", "a =", "a = 'x", "a = \"x\\", "[a", "[[a]", "a = [1", "a = {b", "= 1", "a = \"\"\"x", "\"a\\q\" = 1",
		"a = " + strings.Repeat("[", 300) + strings.Repeat("]", 300)} {
		if _, err := Set(text, Keys("x"), "1"); err == nil {
			t.Errorf("%.20q is no TOML", text)
		}
		if _, err := Remove(text, Keys("x")); err == nil {
			t.Errorf("%.20q is no TOML", text)
		}
		if Line(text, Keys("x")) != 0 {
			t.Errorf("%.20q has a line", text)
		}
	}
}

// FuzzSet: a key that comes and goes leaves everything else as it was.
func FuzzSet(f *testing.F) {
	for _, text := range []string{"", "a = 1", "[zz]\nb = 1\n", "zz = { b = 2 }", "zz.b = 1\n# c", "[zz.b]\n", "# c\n[[x]]\n[x.y]\n[[x]]", "'a\\' = '''\n'''''\n", "\"\\u0041\\x41\" = 1\r\n[b] # c\r\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, err := decode(text)
		if err != nil || len(text) > 10_000 {
			_, _ = Set(text, Keys("zz", "new"), "1") // whatever it does, it ends
			return
		}
		if table, ok := before["zz"].(map[string]any); before["zz"] != nil && (!ok || table["new"] != nil) {
			return
		}
		set, err := Set(text, Keys("zz", "new"), "1")
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		after, err := decode(set)
		if err != nil {
			t.Fatalf("%v: %q from %q", err, set, text)
		}
		table, _ := after["zz"].(map[string]any)
		if table["new"] != int64(1) {
			t.Fatalf("%v: %q from %q", after, set, text)
		}
		gone, err := Remove(set, Keys("zz", "new"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(gone)
		if before["zz"] == nil {
			delete(again, "zz") // an empty table may stay
		}
		if err != nil || !reflect.DeepEqual(again, before) && len(before) > 0 {
			t.Errorf("%v, before %v, %v: %q from %q", again, before, err, gone, text)
		}
	})
}
