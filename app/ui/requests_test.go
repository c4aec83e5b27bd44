package ui

import (
	"errors"
	"testing"
	"time"

	"culvert/app/exchange"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"github.com/google/go-cmp/cmp"
)

func TestSelectedRequestIsInspected(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.request("1", "/a", 200)
	s.request("1", "/b", 500)
	s.tapRow(0)
	if x := s.inspector.Exchange(); !s.inspector.Visible() || x == nil || x.Path != "/b" {
		t.Fatalf("visible %v, shown %+v", s.inspector.Visible(), x)
	}
	s.tapRow(1)
	if x := s.inspector.Exchange(); x.Path != "/a" {
		t.Errorf("then it shows %s", x.Path)
	}
	s.closeInspector()
	if s.inspector.Visible() || s.table.Selected() != nil {
		t.Error("the inspector does not close")
	}
}

// What has left the memory comes from the history, and what is nowhere kept is said.
func TestInspectedFromElsewhere(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.cfg.Store.AddRequest(&model.Request{Tunnel: "1", Exchange: "old", Time: s.now, Method: "GET", Path: "/old", Status: 200})
	s.cfg.Store.AddRequest(&model.Request{Tunnel: "1", Exchange: "gone", Time: s.now, Method: "GET", Path: "/gone", Status: 200})
	s.engine.exchanges["old"] = &exchange.Exchange{ID: "old", Method: "GET", Path: "/old", Status: 200}
	s.Sync()
	s.tapRow(1)
	s.settle()
	if x := s.inspector.Exchange(); x == nil || x != s.engine.exchanges["old"] {
		t.Errorf("from the history it shows %+v", x)
	}
	s.tapRow(0)
	s.settle()
	if x := s.inspector.Exchange(); x == nil || x.Path != "/gone" || x.Err == "" || !x.Response.Dropped {
		t.Errorf("of what is gone it shows %+v", x)
	}
}

// An answer that comes late must not replace what was selected meanwhile.
func TestLateAnswersAreDropped(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.cfg.Store.AddRequest(&model.Request{Tunnel: "1", Exchange: "old", Time: s.now, Method: "GET", Path: "/old", Status: 200})
	s.engine.exchanges["old"] = &exchange.Exchange{ID: "old", Path: "/old"}
	s.request("1", "/new", 200)
	s.tapRow(1)
	s.tapRow(0)
	s.settle()
	if x := s.inspector.Exchange(); x == nil || x.Path != "/new" {
		t.Errorf("it shows %+v", x)
	}
}

// stream is an exchange that lasts.
type stream struct{ messages []exchange.StreamMessage }

func (s *stream) Count() int { return len(s.messages) }
func (s *stream) Messages(from int) ([]exchange.StreamMessage, int) {
	return s.messages[min(from, len(s.messages)):], 0
}
func (s *stream) Done() bool { return false }

// A stream's row changes in its place when it ends, and the inspector with it.
func TestInspectorFollowsAStream(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	r := &model.Request{Tunnel: "1", Exchange: "ws", Time: s.now, Method: "GET", Path: "/ws", Status: 101, Stream: model.WebSocketStream,
		Open: true, Live: &stream{}}
	s.cfg.Store.AddRequest(r)
	s.engine.exchanges["ws"] = &exchange.Exchange{ID: "ws", Path: "/ws", Status: 101, Open: true}
	s.Sync()
	s.tapRow(0)
	s.settle()
	if x := s.inspector.Exchange(); x == nil || !x.Open {
		t.Fatalf("it shows %+v", x)
	}
	ended := *r
	ended.Open, ended.Live, ended.Messages = false, nil, 3
	s.cfg.Store.EndRequest(&ended)
	s.cfg.Store.KeepExchange(r.ID, &exchange.Exchange{ID: "ws", Path: "/ws", Status: 101, Duration: time.Second})
	s.Sync()
	if x := s.inspector.Exchange(); x == nil || x.Open {
		t.Errorf("after its end it shows %+v", x)
	}
}

func TestReplayFromInspectorAndTable(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	r := s.request("1", "/a", 200)
	s.engine.exchanges[r.Exchange] = s.cfg.Store.Exchange(r.ID)
	s.tapRow(0)
	s.press("Replay")
	s.settle()
	s.table.OnReplay(r)
	s.table.OnReplay(r) // the key is held down
	s.settle()
	if diff := cmp.Diff([]string{"replay x/a ", "replay x/a "}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	s.add("1", &exchange.Exchange{ID: "y", Tunnel: "shop", Method: "GET", Path: "/a", Status: 201, ReplayOf: "x/a"})
	if x := s.inspector.Exchange(); x.ID != "y" {
		t.Errorf("after a replay the inspector shows %s", x.ID)
	}
	s.engine.fail = errors.New("the service is down")
	s.press("Replay")
	s.settle()
	if text, _ := s.cfg.Store.Notice(); text != "The request was not repeated. The service is down." {
		t.Errorf("of a failure it says %q", text)
	}
}

func TestHistoryIsSearched(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.request("1", "/live", 200)
	row := func(path string) *model.Request {
		return &model.Request{Exchange: path, Time: s.now, Method: "GET", Path: path, Status: 200}
	}
	s.engine.pages[0] = model.Page{Rows: []*model.Request{row("/1"), row("/2")}, Next: 7}
	s.engine.pages[7] = model.Page{Rows: []*model.Request{row("/3")}}
	s.shortcut(fyne.KeyH)
	if !s.bar.History() || s.noRequests.Title() != "Searching…" {
		t.Errorf("history %v, meanwhile it says %q", s.bar.History(), s.noRequests.Title())
	}
	s.settle()
	for range 3 { // the last rows are in sight: the next page is wanted, once
		s.searchOlder()
		s.settle()
	}
	var paths []string
	for _, r := range s.shownRows() {
		paths = append(paths, r.Path)
	}
	if diff := cmp.Diff([]string{"/1", "/2", "/3"}, paths); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	s.bar.SetFilter(model.Filter{Method: "POST"})
	s.engine.pages[0] = model.Page{}
	s.selectTunnel("1")
	s.settle()
	last := s.engine.searched[len(s.engine.searched)-1]
	if last.Method != "POST" || last.Tunnel != "1" || s.noRequests.Title() != "Nothing in the history matches" {
		t.Errorf("searched for %+v; it says %q", last, s.noRequests.Title())
	}
	s.engine.fail = errors.New("the disk is gone")
	s.narrow()
	s.settle()
	if s.noRequests.Title() != "The history cannot be searched" {
		t.Errorf("of a failure it says %q", s.noRequests.Title())
	}
	s.selectTunnel("1")
	s.win.Canvas().Unfocus()
	s.escapeKey()
	s.bar.SetFilter(model.Filter{})
	s.narrow()
	if s.bar.History() || s.search.on || s.view.Len() != 1 || !s.table.Visible() {
		t.Errorf("back to what is live: history %v, %d rows", s.bar.History(), s.view.Len())
	}
}

func TestExportAsksAboutSecrets(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.export() // nothing to save
	s.request("1", "/a", 200)
	s.export()
	s.press("Take secrets out")
	s.settle()
	if diff := cmp.Diff([]string{"export 1, secrets false"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestDividerKeepsBothInSight(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.request("1", "/a", 200)
	s.tapRow(0)
	for _, by := range []float32{-2000, 2000, -10} {
		s.moveDivider(by)
		if s.inspector.Size().Height < inspectorLeast-1 || s.root.Objects[8].Size().Height < tableLeast-1 {
			t.Errorf("moved by %v: inspector %v, table %v", by, s.inspector.Size().Height, s.root.Objects[8].Size().Height)
		}
	}
	s.win.Resize(smallest)
	s.Sync()
	if !s.inspector.Visible() || s.root.Objects[8].Visible() || s.inspector.Size().Height < 200 {
		t.Errorf("in the smallest window the inspector has %v", s.inspector.Size().Height)
	}
	s.closeInspector()
	s.Sync()
	if !s.root.Objects[8].Visible() || !s.bar.Visible() {
		t.Error("closing it does not bring the table back")
	}
}

// The way out of the inspector, by its button and by Escape in its text, leads back to
// the table with nothing selected.
func TestInspectorCloses(t *testing.T) {
	for name, leave := range map[string]func(*stage){
		"button": func(s *stage) { s.tip("Close") },
		"Escape": func(s *stage) { s.inspector.Focus(); s.escapeKey() },
	} {
		s := newStage(t, wide)
		s.online("1", "shop")
		s.request("1", "/cart", 200)
		s.tapRow(0)
		s.settle()
		if !s.inspector.Visible() {
			t.Fatal("a tapped row is not inspected")
		}
		leave(s)
		s.settle()
		if s.inspector.Visible() || s.table.Selected() != nil {
			t.Errorf("%s: the inspector is still there", name)
		}
		if s.win.Canvas().Focused() == nil {
			t.Errorf("%s: the table has not got the focus back", name)
		}
	}
}
