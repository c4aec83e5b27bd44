package cards

import (
	"fmt"
	"testing"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// A frame in which nothing has happened: it comes many times a second.
func BenchmarkSyncUnchanged(b *testing.B) {
	test.NewTempApp(b).Settings().SetTheme(look.Theme{Mode: look.Dark})
	col := NewColumn(Actions{})
	w := test.NewTempWindow(b, look.NewRoot(col))
	w.Resize(fyne.NewSize(372, 700))
	var tunnels []model.Tunnel
	for i := range 10 {
		t := states()[0].tunnel
		t.Key = fmt.Sprint(i)
		tunnels = append(tunnels, t)
	}
	col.Sync(tunnels, "", now)
	for b.Loop() {
		col.Sync(tunnels, "", now)
	}
}
