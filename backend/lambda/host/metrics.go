package host

import (
	"log/slog"
	"slices"
	"strings"
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
)

// unitOf gives CloudWatch's unit of each metric there is. Every name costs money
// while it is in use, for each function, so that the list is closed.
func unitOf(name string) (unit string, ok bool) {
	switch name {
	case metricRequests, metricStatus4xx, metricStatus5xx,
		"Pushed", "Stored", "StrayFrames", "Resends", "Dials", "DialFailures", "Refused", "Posts", "Gone":
		return "Count", true
	case metricBytesIn, metricBytesOut:
		return "Bytes", true
	case "WaitMs":
		return "Milliseconds", true
	}
	return "", false
}

// Metrics sums up what is counted during an invocation. An environment serves one at
// a time, so that the sum of a metric is its sample for that invocation. It is safe
// for use by many goroutines.
//
// The one dimension is the function: tunnels, connections or users would each make
// metrics of their own, and a bill without bounds.
type Metrics struct {
	namespace, function string
	log                 *slog.Logger

	mu     sync.Mutex
	sums   map[string]float64
	warned bool
}

// NewMetrics counts for one function. Names that are no metrics are logged once.
func NewMetrics(namespace, function string, log *slog.Logger) *Metrics {
	return &Metrics{namespace: namespace, function: function, log: log, sums: make(map[string]float64)}
}

// Count adds n to a metric.
func (m *Metrics) Count(name string, n float64) {
	_, known := unitOf(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case known && n == n && n >= 0: // neither NaN, which JSON does not have, nor less than nothing
		m.sums[name] += n
	case !m.warned:
		m.warned = true
		m.log.Warn("a metric that is none was counted", "name", name)
	}
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
	var metrics []emfMetric
	for name, sum := range m.sums {
		if unit, _ := unitOf(name); sum > 0 {
			metrics = append(metrics, emfMetric{name, unit})
		}
	}
	if len(metrics) == 0 {
		return nil
	}
	slices.SortFunc(metrics, func(a, b emfMetric) int { return strings.Compare(a.Name, b.Name) })
	attrs := []slog.Attr{
		slog.Any("_aws", emf{now.UnixMilli(), []emfDirective{{m.namespace, [][]string{{"Function"}}, metrics}}}),
		slog.String("Function", m.function),
	}
	for _, metric := range metrics {
		attrs = append(attrs, slog.Float64(metric.Name, m.sums[metric.Name]))
	}
	clear(m.sums)
	return attrs
}
