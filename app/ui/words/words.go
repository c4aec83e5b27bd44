// Package words speaks the user's language. A text is named by its English words,
// which stand in the code where they are used; assets/translations has the others.
// What is not translated yet is said in English.
//
// The language is the program's, as the toolkit's theme is, and so this package
// has state of its own: one printer, which Set replaces.
package words

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"culvert/assets"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

// Language is one that the program speaks.
type Language struct {
	Tag  string // BCP 47, such as "cs"
	Name string // in the language itself
}

// Languages are all there are, English first.
func Languages() []Language {
	return []Language{{"en", "English"}, {"zh", "中文"}, {"ja", "日本語"}, {"cs", "Čeština"}}
}

// speaker is one language in use. Nothing in it changes, so that goroutines may share it.
type speaker struct {
	tag     language.Tag
	printer *message.Printer
	// plain are the texts in which nothing has to be filled in: most of a window's, at
	// every frame.
	plain map[string]string
}

var current atomic.Pointer[speaker]

// T says something in the language that is set: key is the English text, a format
// of package fmt, in which %d groups digits as the language does. What is no quantity,
// as a port, is given as a text to %s. The key must be a constant, so that tests find it.
func T(key string, args ...any) string {
	s := speaking()
	if len(args) == 0 {
		if text, ok := s.plain[key]; ok {
			return text
		}
		if !strings.Contains(key, "%") {
			return key
		}
	}
	return s.printer.Sprintf(key, args...)
}

func speaking() *speaker {
	s := current.Load()
	if s == nil {
		s = newSpeaker(language.English)
		if !current.CompareAndSwap(nil, s) {
			s = current.Load()
		}
	}
	return s
}

func newSpeaker(tag language.Tag) *speaker {
	b := loaded()
	return &speaker{tag, message.NewPrinter(tag, message.Catalog(b.catalog)), b.plain[tag]}
}

// book is what is written in assets/translations.
type book struct {
	catalog catalog.Catalog
	plain   map[language.Tag]map[string]string
}

var catalogue atomic.Pointer[book]

func loaded() *book {
	b := catalogue.Load()
	if b == nil {
		var err error
		if b, err = load(assets.Translations); err != nil {
			// The files are embedded and tested: only a broken build comes here.
			panic(fmt.Sprintf("words: %v", err))
		}
		catalogue.Store(b)
	}
	return b
}

// Set changes the language: one of Languages, or "" for the system's. Any other is
// English.
func Set(tag string) {
	current.Store(newSpeaker(match(cmp.Or(tag, System()))))
}

// Tag is the language that is spoken.
func Tag() string { return speaking().tag.String() }

// toolkits is what the desktop's own settings say, where the environment is silent.
var toolkits atomic.Pointer[string]

// SetDesktop names the language of the desktop, as the toolkit finds it: on Windows and
// macOS the environment seldom has one.
func SetDesktop(tag string) { toolkits.Store(&tag) }

// System is the language that the user's environment asks for, in the order of
// POSIX (https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html),
// else the desktop's, or "en".
func System() string {
	for _, name := range []string{"LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"} {
		value, _, _ := strings.Cut(os.Getenv(name), ":")
		value, _, _ = strings.Cut(value, ".")
		value, _, _ = strings.Cut(value, "@")
		if value == "" {
			continue
		}
		tag, err := language.Parse(strings.ReplaceAll(value, "_", "-"))
		if err != nil {
			return "en" // "C" and "POSIX" among others
		}
		return match(tag.String()).String()
	}
	if tag := toolkits.Load(); tag != nil {
		return match(*tag).String()
	}
	return "en"
}

// match finds the closest language that is spoken.
func match(tag string) language.Tag {
	var have []language.Tag
	for _, l := range Languages() {
		have = append(have, language.MustParse(l.Tag))
	}
	_, i, confidence := language.NewMatcher(have).Match(language.Make(tag))
	if confidence == language.No {
		i = 0
	}
	return have[i]
}

// load reads the catalogues: one file per language, which gives each key its text or,
// where it depends on the first number in it, a text for each plural form.
func load(files fs.FS) (*book, error) {
	c := catalog.NewBuilder(catalog.Fallback(language.English))
	b := &book{c, map[language.Tag]map[string]string{}}
	names, err := fs.Glob(files, "translations/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		entries, err := read(files, name)
		if err != nil {
			return nil, err
		}
		tag := language.Make(strings.TrimSuffix(path.Base(name), ".json"))
		b.plain[tag] = map[string]string{}
		for key, forms := range entries {
			if err := add(c, tag, key, forms); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", name, key, err)
			}
			if !strings.Contains(key, "%") {
				b.plain[tag][key] = forms["other"]
			}
		}
	}
	return b, nil
}

// forms are one text by its plural category, see
// https://cldr.unicode.org/index/cldr-spec/plural-rules; just "other" where the
// number makes no difference.
type forms map[string]string

var categories = []string{"one", "two", "few", "many", "other"}

// UnmarshalJSON takes a text, or an object of forms.
func (f *forms) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*f = forms{"other": one}
		return nil
	}
	return json.Unmarshal(text, (*map[string]string)(f))
}

func read(files fs.FS, name string) (map[string]forms, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var entries map[string]forms
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return entries, nil
}

func add(b *catalog.Builder, tag language.Tag, key string, f forms) error {
	if len(f) == 1 && f["other"] != "" {
		return b.SetString(tag, key, f["other"])
	}
	var cases []any
	for _, form := range categories {
		if text, ok := f[form]; ok {
			cases = append(cases, form, text)
		}
	}
	if f["other"] == "" {
		return fmt.Errorf("there is no form \"other\"")
	}
	if len(cases) != 2*len(f) {
		return fmt.Errorf("its forms are not all of %v", categories)
	}
	return b.Set(tag, key, plural.Selectf(1, "%d", cases...))
}
