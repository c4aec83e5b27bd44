package look

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

func TestPieces(t *testing.T) {
	for text, want := range map[string]string{
		"two words":   "two|_words",
		"公開 URL":      "公|開|_URL",
		"3～63文字の英小文字": "3～|63|文|字|の|英|小|文|字",
		"「名前」は、変わりません。":        "「名|前」|は、|変|わ|り|ま|せ|ん。",
		"チェックする（今）":            "チェッ|ク|す|る|（今）",
		"localhost:3000を開く":    "localhost:3000|を|開|く",
		"ポート":                  "ポー|ト",
		"příliš žluťoučký kůň": "příliš|_žluťoučký|_kůň",
		"":                     "",
	} {
		var got []string
		for _, p := range pieces(text) {
			s := p.text
			if p.spaced {
				s = "_" + s
			}
			got = append(got, s)
		}
		if diff := cmp.Diff(want, strings.Join(got, "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// Scripts without spaces fill their lines, and lose nothing.
func TestWrapWithoutSpaces(t *testing.T) {
	test.NewTempApp(t)
	text := strings.Repeat("トンネルはこのコンピューターのサービスに公開URLを与えます。", 3)
	lines := Wrap(text, 300, TextBody, fyne.TextStyle{}, 20)
	if got := strings.Join(lines, ""); got != text {
		t.Errorf("wrapped, the text is %q", got)
	}
	for i, l := range lines {
		w := fyne.MeasureText(l, TextBody, fyne.TextStyle{}).Width
		if w > 300 || i < len(lines)-1 && w < 240 {
			t.Errorf("line %q is %v wide in 300", l, w)
		}
		if first := []rune(l)[0]; strings.ContainsRune(neverFirst, first) {
			t.Errorf("line %q begins with %c", l, first)
		}
	}
}

func BenchmarkWrap(b *testing.B) {
	test.NewTempApp(b)
	text := strings.Repeat("The network is unreachable, and visitors see a page that tries again. ", 10)
	for b.Loop() {
		Wrap(text, 324, TextSmall, fyne.TextStyle{}, 4)
	}
}
