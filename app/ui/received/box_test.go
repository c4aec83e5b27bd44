package received

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"culvert/app/plain"
	"culvert/app/ui/model"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *Box {
	t.Helper()
	b, err := Open(path, func(err error) { t.Errorf("writing: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var sent = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func notice(id string) model.Received {
	return model.Received{ID: id, Tunnel: "shop", At: sent, Title: "Order " + id, Text: "first\nsecond", Data: json.RawMessage(`{"order":"` + id + `","html":"<b>"}`)}
}

func TestNoticesOutliveTheProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notices.json")
	b := open(t, path)
	for _, id := range []string{"1", "2", "3"} {
		if _, added := b.Add(notice(id)); !added {
			t.Errorf("%s was not added", id)
		}
	}
	if _, added := b.Add(notice("2")); added {
		t.Error("a notice that came twice was added twice")
	}
	b.Read("2")
	b.Close()
	want := []model.Received{notice("3"), notice("2"), notice("1")}
	want[1].Read = true
	if diff := cmp.Diff(want, b.List()); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v; want 0600", info, err)
	}

	again := open(t, path)
	if diff := cmp.Diff(want, again.List()); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	if _, added := again.Add(notice("1")); added {
		t.Error("a notice that came before the restart was added again")
	}
	again.Read("")
	if n := model.Unread(again.List()); n != 0 {
		t.Errorf("%d are unread after all were marked", n)
	}
	again.Clear()
	again.Close()
	last := open(t, path)
	defer last.Close()
	if n := len(last.List()); n != 0 {
		t.Errorf("%d notices have outlived that they were cleared", n)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notices.json")
	b := open(t, path)
	data := json.RawMessage(`"` + strings.Repeat("x", 40<<10) + `"`)
	for i := range MaxKept + 50 {
		b.Add(model.Received{ID: fmt.Sprint(i), Text: strings.Repeat("ü", 5000), Title: strings.Repeat("t", 5000), Tunnel: strings.Repeat("n", 500), Data: data})
	}
	b.Close()
	list := b.List()
	if len(list) != MaxKept || list[0].ID != fmt.Sprint(MaxKept+49) {
		t.Fatalf("%d are kept, the newest is %s", len(list), list[0].ID)
	}
	with := 0
	for _, n := range list {
		if n.Data != nil {
			with += len(n.Data)
		}
		if utf8.RuneCountInString(n.Text) > maxText+1 || utf8.RuneCountInString(n.Title) > maxTitle+1 || utf8.RuneCountInString(n.Tunnel) > maxTunnel+1 {
			t.Fatalf("a notice has %d, %d and %d letters", len(n.Text), len(n.Title), len(n.Tunnel))
		}
	}
	if with > maxData || list[0].Data == nil || list[MaxKept-1].Data != nil {
		t.Errorf("%d bytes of data are kept; the newest has %d, the oldest %d", with, len(list[0].Data), len(list[MaxKept-1].Data))
	}
	if info, err := os.Stat(path); err != nil || info.Size() > maxFile {
		t.Errorf("the file: %v, %v", info.Size(), err)
	}
}

func TestHostileNoticesAreMadeHarmless(t *testing.T) {
	t.Parallel()
	b := open(t, filepath.Join(t.TempDir(), "notices.json"))
	defer b.Close()
	n, _ := b.Add(model.Received{
		ID: strings.Repeat("ä", 200), Title: "two\nlines \u202eoverride", Text: "\r\n\nfirst\x1b[31m\r\n\u2066second\u2069 \nthird\n\n", Tunnel: "a\nb",
		Data: json.RawMessage(`{"broken`),
	})
	want := model.Received{ID: strings.Repeat("ä", 64), Title: "two lines override", Text: "first [31m\nsecond\nthird", Tunnel: "a b"}
	if diff := cmp.Diff(want, n); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if long, _ := b.Add(model.Received{ID: "long", Text: strings.Repeat("x\n", 900)}); strings.Count(long.Text, "\n") != maxLines || !strings.HasSuffix(long.Text, "\n…") {
		t.Errorf("of 900 lines %d are kept", strings.Count(long.Text, "\n"))
	}
	if diff := cmp.Diff(want, b.List()[1]); diff != "" {
		t.Errorf("in the list (-want +got):\n%s", diff)
	}
}

func TestBrokenFilesArePutAside(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON": "{", "another form": `{"version":2,"notices":[]}`, "empty": "", "another type": `{"version":1,"notices":7}`,
		"too large": `{"version":1,"notices":[]}` + strings.Repeat(" ", maxFile),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "notices.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			b, err := Open(path, func(err error) { t.Error(err) })
			var broken *BrokenError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), broken.Kept) {
				t.Fatalf("it was opened with %v", err)
			}
			if kept, err := os.ReadFile(broken.Kept); err != nil || string(kept) != text {
				t.Errorf("%d bytes were put aside: %v", len(kept), err)
			}
			b.Add(notice("1"))
			b.Close()
			again := open(t, path)
			defer again.Close()
			if n := len(again.List()); n != 1 {
				t.Errorf("%d notices are in the new file, want 1", n)
			}
		})
	}
}

// A file that cannot be read at the moment is not written over.
func TestUnreadableFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notices.json")
	if err := os.Mkdir(path, 0o700); err != nil { // reading it fails also for root
		t.Fatal(err)
	}
	b, err := Open(path, func(err error) { t.Error(err) })
	var broken *BrokenError
	if err == nil || errors.As(err, &broken) {
		t.Fatalf("it was opened with %v", err)
	}
	b.Add(notice("1"))
	b.Close()
	if len(b.List()) != 1 {
		t.Error("the notice is not in memory")
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.Errorf("what lay there is %v, %v", info, err)
	}
}

func TestProblemsOfWritingAreTold(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "config")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	b, err := Open(filepath.Join(folder, "notices.json"), func(err error) { told <- err })
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	b.Add(notice("1"))
	b.Close()
	select {
	case err := <-told:
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("told: %v", err)
		}
	default:
		t.Error("nobody was told")
	}
}

// A hundred notices in a second are written once.
func TestManyChangesAreWrittenTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notices.json")
	synctest.Test(t, func(t *testing.T) {
		b := open(t, path)
		for i := range 100 {
			b.Add(notice(fmt.Sprint(i)))
		}
		synctest.Wait()
		if _, err := os.Stat(path); err == nil {
			t.Error("the first was written at once")
		}
		time.Sleep(pace)
		synctest.Wait()
		if list, err := load(path); err != nil || len(list) != 100 {
			t.Errorf("%d were written: %v", len(list), err)
		}
		b.Close()
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"notices":[{"id":"1","time":"2026-01-02T03:04:05Z","title":"a\u202e","text":"b\nc","data":{"x":1},"read":true},{"id":"1"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := decode(text)
		if err != nil {
			return
		}
		if len(list) > MaxKept {
			t.Errorf("%d notices", len(list))
		}
		for _, n := range list {
			if strings.ContainsFunc(n.Title, plain.Hidden) || strings.ContainsFunc(strings.ReplaceAll(n.Text, "\n", ""), plain.Hidden) {
				t.Errorf("what cannot be seen is left in %+v", n)
			}
		}
		path := filepath.Join(t.TempDir(), "notices.json")
		if err := store(path, list); err != nil {
			t.Fatal(err)
		}
		again, err := load(path)
		if err != nil || len(again) != len(list) {
			t.Errorf("%d of %d came back: %v", len(again), len(list), err)
		}
	})
}
