package host

import (
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// document is a log line in CloudWatch's embedded metric format, read as its
// specification says.
type document struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
}

// metricsOf gives the metrics of a line, and checks its form.
func metricsOf(t *testing.T, line map[string]any, namespace, function string) map[string]any {
	t.Helper()
	text, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if line["_aws"] == nil {
		return nil
	}
	if at := time.UnixMilli(d.AWS.Timestamp); time.Since(at) > time.Hour || time.Since(at) < -time.Hour {
		t.Errorf("timestamp %d", d.AWS.Timestamp)
	}
	if len(d.AWS.CloudWatchMetrics) != 1 {
		t.Fatalf("%s", text)
	}
	m := d.AWS.CloudWatchMetrics[0]
	if m.Namespace != namespace || !cmp.Equal(m.Dimensions, [][]string{{"Function"}}) || line["Function"] != function {
		t.Errorf("namespace or dimensions: %s", text)
	}
	values := make(map[string]any)
	for _, metric := range m.Metrics {
		value, ok := line[metric.Name]
		if unit, known := unitOf(metric.Name); !ok || !known || unit != metric.Unit {
			t.Errorf("metric %+v: %s", metric, text)
		}
		values[metric.Name] = value
	}
	if len(values) == 0 || len(values) != len(m.Metrics) {
		t.Errorf("metrics none or twice: %s", text)
	}
	return values
}

func emit(t *testing.T, m *Metrics) map[string]any {
	t.Helper()
	var out output
	h := &Host{lines: NewLogger(&out, slog.LevelDebug).Handler()}
	h.line(t.Context(), slog.LevelInfo, "counted", m.take(time.Now()))
	if out.Len() == 0 {
		return nil
	}
	return metricsOf(t, out.line(t), "Culvert/x", "public")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	var out output
	m := NewMetrics("Culvert/x", "public", NewLogger(&out, slog.LevelInfo))
	if got := emit(t, m); got != nil {
		t.Errorf("nothing was counted: %v", got)
	}
	m.Count("Posts", 1)
	m.Count("Posts", 2)
	m.Sample("WaitMs", 12.5)
	m.Count("Gone", 0)
	if diff := cmp.Diff(map[string]any{"Posts": 3.0, "WaitMs": 12.5}, emit(t, m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := emit(t, m); got != nil {
		t.Errorf("counted again: %v", got)
	}
	for i := range 2 * maxSamples {
		m.Sample("WaitMs", float64(i%2))
	}
	if got, ok := emit(t, m)["WaitMs"].([]any); !ok || len(got) != maxSamples || got[0] != 0.0 || got[1] != 1.0 {
		t.Errorf("samples: %v", got)
	}
	if out.Len() > 0 {
		t.Errorf("logged: %s", &out)
	}
}

// Names are a closed list: one made of a tunnel's name would be a metric of its own
// for each tunnel, and each costs money.
func TestUnknownMetrics(t *testing.T) {
	t.Parallel()
	var out output
	m := NewMetrics("Culvert/x", "public", NewLogger(&out, slog.LevelInfo))
	for _, name := range []string{"Posts-shop", "Function", "_aws", "level", ""} {
		m.Count(name, 1)
	}
	m.Count("Posts", math.NaN())
	m.Count("Posts", -1)
	if got := emit(t, m); got != nil {
		t.Errorf("%v", got)
	}
	if line := out.line(t); line["level"] != "WARN" || line["name"] != "Posts-shop" {
		t.Errorf("%v", line)
	}
}

func TestMetricsTogether(t *testing.T) {
	t.Parallel()
	m := NewMetrics("Culvert/x", "public", slog.New(slog.DiscardHandler))
	var counting sync.WaitGroup
	for range 8 {
		counting.Go(func() {
			for range 100 {
				m.Count("Posts", 1)
				m.Count("Gone", 1)
			}
		})
	}
	counting.Wait()
	got := emit(t, m)
	if names := slices.Sorted(maps.Keys(got)); got["Posts"] != 800.0 || got["Gone"] != 800.0 || strings.Join(names, " ") != "Gone Posts" {
		t.Errorf("%v", got)
	}
}
