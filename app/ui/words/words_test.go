package words

import (
	"sync"
	"testing"
	"testing/fstest"
)

func speak(t testing.TB, tag string) {
	t.Helper()
	Set(tag)
	t.Cleanup(func() { Set("en") })
}

func TestPlurals(t *testing.T) {
	for _, tt := range []struct {
		tag  string
		n    int
		want string
	}{
		{"en", 0, "0 requests"},
		{"en", 1, "1 request"},
		{"en", 1284, "1,284 requests"},
		{"zh", 1, "1 个请求"},
		{"zh", 1284, "1,284 个请求"},
		{"ja", 1, "リクエスト 1 件"},
		{"cs", 0, "0 požadavků"},
		{"cs", 1, "1 požadavek"},
		{"cs", 4, "4 požadavky"},
		{"cs", 5, "5 požadavků"},
		{"cs", 1284, "1\u00a0284 požadavků"},
	} {
		speak(t, tt.tag)
		if got := T("%d requests", tt.n); got != tt.want {
			t.Errorf("%s: %d is %q, want %q", tt.tag, tt.n, got, tt.want)
		}
	}
}

// What nobody has translated is said in English, with what belongs into it.
func TestWithoutAnEntry(t *testing.T) {
	for _, l := range Languages() {
		speak(t, l.Tag)
		for want, got := range map[string]string{
			"not in any catalogue: x": T("not in any catalogue: %s", "x"),
			"nor this":                T("nor this"),
			"100 %":                   T("100 %%"),
		} {
			if got != want {
				t.Errorf("%s: %q, want %q", l.Tag, got, want)
			}
		}
	}
}

func TestSystem(t *testing.T) {
	for _, tt := range []struct {
		name    string
		env     map[string]string
		desktop string
		want    string
	}{
		{"nothing", nil, "", "en"},
		{"a locale", map[string]string{"LANG": "cs_CZ.UTF-8"}, "", "cs"},
		{"a script", map[string]string{"LANG": "zh_TW.UTF-8"}, "", "zh"},
		{"a modifier", map[string]string{"LANG": "ja@currency"}, "", "ja"},
		{"the first of several", map[string]string{"LANGUAGE": "cs:de", "LANG": "de_DE.UTF-8"}, "", "cs"},
		{"messages before the rest", map[string]string{"LC_MESSAGES": "ja_JP", "LANG": "cs_CZ"}, "", "ja"},
		{"one that is not spoken", map[string]string{"LANG": "de_DE.UTF-8"}, "", "en"},
		{"no language", map[string]string{"LC_ALL": "C.UTF-8", "LANG": "cs_CZ"}, "", "en"},
		{"the desktop's", nil, "ja-JP", "ja"},
		{"the environment before the desktop", map[string]string{"LANG": "cs_CZ"}, "ja-JP", "cs"},
		{"a desktop that says nothing", nil, "", "en"},
		{"a desktop that says nonsense", nil, "!", "en"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"} {
				t.Setenv(name, tt.env[name])
			}
			SetDesktop(tt.desktop)
			defer toolkits.Store(nil)
			if got := System(); got != tt.want {
				t.Errorf("the system speaks %q, want %q", got, tt.want)
			}
			speak(t, "")
			if got := Tag(); got != tt.want {
				t.Errorf("the program speaks %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON":       `{`,
		"a number":      `{"%d tunnels": 3}`,
		"no other form": `{"%d tunnels": {"one": "%d tunel", "few": "%d tunely"}}`,
		"no such form":  `{"%d tunnels": {"one": "%d tunel", "some": "%d tunely", "other": "%d tunelů"}}`,
	} {
		if _, err := load(fstest.MapFS{"translations/cs.json": {Data: []byte(text)}}); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

// The language changes while other goroutines speak.
func TestSharedByGoroutines(t *testing.T) {
	defer Set("en")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 500 {
				if i == 0 && n%50 == 0 {
					Set(Languages()[n/50%4].Tag)
				}
				if T("%d requests", n) == "" || T("Copy") == "" || T("%s of %s", "a", "b") == "" {
					t.Error("a text is empty")
				}
			}
		})
	}
	wg.Wait()
}

// A window says some hundred texts, 15 times a second.
func BenchmarkFrame(b *testing.B) {
	for _, l := range Languages() {
		b.Run(l.Tag, func(b *testing.B) {
			speak(b, l.Tag)
			b.ReportAllocs()
			for b.Loop() {
				for n := range 70 {
					T("Copy")
					if n < 30 {
						T("%d requests", n)
					}
				}
			}
		})
	}
}
