package control

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"culvert/app/config"
	"culvert/app/exchange"
	"culvert/app/history"
)

// What was kept before the history was switched off is shown, gets old, and can be
// cleared.
func TestHistoryThatIsOff(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, HistoryFile)
	earlier, err := history.Open(t.Context(), history.Config{Path: file, Limits: history.Limits{MaxAge: 1000 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	for id, age := range map[string]time.Duration{"old": 30 * 24 * time.Hour, "young": time.Hour} {
		earlier.Add(&exchange.Exchange{ID: id, Start: time.Now().Add(-age), Method: "GET", Path: "/" + id, Status: 200})
	}
	if err := earlier.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "config.toml"), []byte("[history]\nenabled = false\nmax_days = 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := moveIn(t, folder, Config{})
	if got := h.State(t.Context()).History; got.Exchanges != 1 || got.Bytes == 0 || got.Problem != "" {
		t.Errorf("while it is off the settings say %+v, want the young one", got)
	}
	enable := func(on bool) {
		t.Helper()
		if err := h.Edit(t.Context(), func(c *config.Config) { c.History.Enabled = on }); err != nil {
			t.Fatal(err)
		}
	}
	enable(true)
	if got := h.onDisk(t, ""); len(got) != 1 || got[0].ID != "young" {
		t.Errorf("kept are %+v", got)
	}
	h.past.add(&exchange.Exchange{ID: "new", Start: time.Now(), Method: "GET", Path: "/new", Status: 200})
	enable(false)
	if got := h.State(t.Context()).History; got.Exchanges != 2 || got.Bytes == 0 {
		t.Errorf("switched off, the settings say %+v", got)
	}
	if err := h.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.State(t.Context()).History; got.Exchanges != 0 {
		t.Errorf("cleared, the settings say %+v", got)
	}
}
