package words

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"culvert/assets"
)

// spoken are the folders whose texts people read in the window, from this one.
var spoken = []string{"..", "../../cmd/culvert-desktop"}

// wanted are the plural forms that a language's text about a number needs: those of
// CLDR (https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html).
var wanted = map[string][]string{
	"en": {"one", "other"},
	"zh": {"other"},
	"ja": {"other"},
	"cs": {"one", "few", "many", "other"},
}

// keys are all texts that the code says, with the first place of each.
func keys(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range spoken {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			for call := range calls(file) {
				at := files.Position(call.Pos()).String()
				key, ok := constant(call)
				if !ok {
					t.Errorf("%s: the text is no constant: it cannot be translated", at)
					continue
				}
				found[key] = cmp.Or(found[key], at)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// calls are those of T of this package.
func calls(file *ast.File) func(func(*ast.CallExpr) bool) {
	return func(yield func(*ast.CallExpr) bool) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "T" {
				return true
			}
			if pkg, ok := s.X.(*ast.Ident); !ok || pkg.Name != "words" {
				return true
			}
			return yield(call)
		})
	}
}

// constant is the first argument: a literal, or literals that are joined.
func constant(call *ast.CallExpr) (string, bool) {
	if len(call.Args) == 0 {
		return "", false
	}
	return literal(call.Args[0])
}

func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return literal(e.X)
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, also := literal(e.Y)
		return left + right, ok && also && e.Op == token.ADD
	}
	return "", false
}

var verb = regexp.MustCompile(`%(\[\d+\])?[-+# 0]*\d*(\.\d+)?[a-zA-Z%]`)

// verbs are what is filled in, in the order of the arguments. A plural form may leave
// out its number, as "one request" does.
func verbs(text string) []string {
	var found []string
	next := 1
	for _, m := range verb.FindAllStringSubmatch(text, -1) {
		if m[0] == "%%" {
			continue
		}
		at := next
		if m[1] != "" {
			at, _ = strconv.Atoi(strings.Trim(m[1], "[]"))
		}
		next = at + 1
		found = append(found, fmt.Sprintf("%d:%s", at, strings.Replace(m[0], m[1], "", 1)))
	}
	slices.Sort(found)
	return found
}

// TestEveryTextIsTranslated also prints what is missing, as lines to be translated
// and put into assets/translations.
func TestEveryTextIsTranslated(t *testing.T) {
	t.Parallel()
	used := keys(t)
	plural := map[string]bool{}
	english, err := read(assets.Translations, "translations/en.json")
	if err != nil {
		t.Fatal(err)
	}
	for key, f := range english {
		plural[key] = len(f) > 1
		if _, ok := used[key]; !ok {
			t.Errorf("en.json: nothing says %q any more", key)
		}
		if first, _, _ := strings.Cut(strings.Join(verbs(key), " "), " "); plural[key] && first != "1:%d" {
			t.Errorf("en.json: %q has plural forms, and its first argument is no %%d", key)
		}
	}
	for _, l := range Languages() {
		name := "translations/" + l.Tag + ".json"
		entries, err := read(assets.Translations, name)
		if err != nil {
			t.Error(err)
			continue
		}
		missing := map[string]any{}
		for key, at := range used {
			f, ok := entries[key]
			if !ok {
				if l.Tag == "en" {
					continue // the key is the text
				}
				missing[key] = key
				if plural[key] {
					missing[key] = blank(l.Tag, key)
				}
				continue
			}
			forms := []string{"other"}
			if plural[key] {
				forms = wanted[l.Tag]
			}
			if got := slices.Sorted(maps.Keys(f)); !slices.Equal(got, slices.Sorted(slices.Values(forms))) {
				t.Errorf("%s: %q (%s) has the forms %v, want %v", name, key, at, got, forms)
			}
			for form, text := range f {
				got, want := verbs(text), verbs(key)
				if plural[key] && form != "other" {
					got, want = withoutNumber(got), withoutNumber(want)
				}
				if text == "" || !slices.Equal(got, want) {
					t.Errorf("%s: %q says %q, which fills in %v, not %v", name, key, text, got, want)
				}
			}
		}
		for key := range entries {
			if _, ok := used[key]; !ok && l.Tag != "en" {
				t.Errorf("%s: nothing says %q any more", name, key)
			}
		}
		if len(missing) > 0 {
			lines, err := json.MarshalIndent(missing, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s lacks %d texts; translate these, and keep the file sorted:\n%s", name, len(missing), unescape.Replace(string(lines)))
		}
	}
}

// unescape undoes what package json does for the sake of HTML.
var unescape = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

func blank(tag, key string) map[string]string {
	f := map[string]string{}
	for _, form := range wanted[tag] {
		f[form] = key
	}
	return f
}

func withoutNumber(verbs []string) []string {
	return slices.DeleteFunc(slices.Clone(verbs), func(v string) bool { return v == "1:%d" })
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"no verbs, 100 %%":        "",
		"%s in %d s":              "1:%s 2:%d",
		"%[2]d of %[1]s":          "1:%s 2:%d",
		"%.1f MB, %[1]s":          "1:%.1f 1:%s",
		"%[1]s then %s":           "1:%s 2:%s",
		"the %s and the %s of %d": "1:%s 2:%s 3:%d",
	} {
		if got := strings.Join(verbs(text), " "); got != want {
			t.Errorf("%q fills in %q, want %q", text, got, want)
		}
	}
}
