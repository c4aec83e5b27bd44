package host

import (
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// Names of the metrics that the host itself counts.
const (
	metricRequests  = "Requests"
	metricStatus4xx = "Status4xx"
	metricStatus5xx = "Status5xx"
	metricBytesIn   = "BytesIn"
	metricBytesOut  = "BytesOut"

	metricActions       = "Actions"
	metricActionsFailed = "ActionsFailed" // by the backend's fault, not by that of who asked
)

// unitOf gives CloudWatch's unit of each metric there is. Every name costs money
// while it is in use, for each function, so that the list is closed.
func unitOf(name string) (unit string, ok bool) {
	switch name {
	case metricRequests, metricStatus4xx, metricStatus5xx,
		"Pushed", "Stored", "StrayFrames", "Resends", "Dials", "DialFailures", "Refused", "Posts", "Gone",
		metricActions, metricActionsFailed, "Notices", "NoticesDropped", "NoticesFailed":
		return "Count", true
	case metricBytesIn, metricBytesOut:
		return "Bytes", true
	case "WaitMs":
		return "Milliseconds", true
	}
	return "", false
}

// Metrics keeps what is counted and sampled during an invocation. It is safe for use
// by many goroutines.
//
// The one dimension is the function: tunnels, connections or users would each make
// metrics of their own, and a bill without bounds.
type Metrics struct {
	namespace, function string
	log                 *slog.Logger

	mu     sync.Mutex
	values map[string][]float64 // of a count, one; of samples, up to maxSamples
	warned bool
}

// NewMetrics counts for one function. Names that are no metrics are logged once.
func NewMetrics(namespace, function string, log *slog.Logger) *Metrics {
	return &Metrics{namespace: namespace, function: function, log: log, values: make(map[string][]float64)}
}

// maxSamples is how many values of a metric CloudWatch takes from one line.
const maxSamples = 100

// Count adds n to a metric.
func (m *Metrics) Count(name string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.valid(name, n) || n == 0:
	case len(m.values[name]) == 0:
		m.values[name] = []float64{n}
	default:
		m.values[name][0] += n
	}
}

// Sample records one value of a metric of which the distribution counts.
func (m *Metrics) Sample(name string, v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.valid(name, v) && len(m.values[name]) < maxSamples {
		m.values[name] = append(m.values[name], v)
	}
}

// valid says whether there is such a metric, and such a value. m.mu is held.
func (m *Metrics) valid(name string, n float64) bool {
	if _, known := unitOf(name); known && n >= 0 && n <= math.MaxInt64 { // JSON knows neither NaN nor infinity
		return true
	}
	if !m.warned {
		m.warned = true
		m.log.Warn("a metric that is none was counted", "name", name)
	}
	return false
}

// emf is the head of CloudWatch's embedded metric format.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type emf struct {
	Timestamp         int64          `json:"Timestamp"`
	CloudWatchMetrics []emfDirective `json:"CloudWatchMetrics"`
}

type emfDirective struct {
	Namespace  string      `json:"Namespace"`
	Dimensions [][]string  `json:"Dimensions"`
	Metrics    []emfMetric `json:"Metrics"`
}

type emfMetric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// take gives the attributes of a log line that CloudWatch makes metrics of, and
// starts anew. What came to nothing is left out; none at all gives none.
func (m *Metrics) take(now time.Time) []slog.Attr {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.values) == 0 {
		return nil
	}
	var metrics []emfMetric
	for _, name := range slices.Sorted(maps.Keys(m.values)) {
		unit, _ := unitOf(name)
		metrics = append(metrics, emfMetric{name, unit})
	}
	attrs := []slog.Attr{
		slog.Any("_aws", emf{now.UnixMilli(), []emfDirective{{m.namespace, [][]string{{"Function"}}, metrics}}}),
		slog.String("Function", m.function),
	}
	for _, metric := range metrics {
		if values := m.values[metric.Name]; len(values) == 1 {
			attrs = append(attrs, slog.Float64(metric.Name, values[0]))
		} else {
			attrs = append(attrs, slog.Any(metric.Name, values))
		}
	}
	clear(m.values)
	return attrs
}
