package telemetry

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// What is shown as Prometheus buckets: from 0.1 ms to 64 s.
const (
	lowestShown  = -13
	highestShown = 6
)

var labels = []string{"service", "method", "implementation"}

// callCollector shows a Stats as tricorn_calls_total, tricorn_call_errors_total and tricorn_call_seconds; of calls that were asked of other
// processes as tricorn_asked_calls_total and so on, with tricorn_fallback_total for those that the reference answered instead.
type callCollector struct {
	stats                            *Stats
	calls, errors, seconds, fallback *prometheus.Desc
}

func newCallCollector(stats *Stats, asked bool) *callCollector {
	prefix, how := "tricorn", "answered"
	if asked {
		prefix, how = "tricorn_asked", "asked of a native implementation"
	}
	made := &callCollector{
		stats:   stats,
		calls:   prometheus.NewDesc(prefix+"_calls_total", "Calls "+how+".", labels, nil),
		errors:  prometheus.NewDesc(prefix+"_call_errors_total", "Calls "+how+" that ended with an error.", labels, nil),
		seconds: prometheus.NewDesc(prefix+"_call_seconds", "Time from request to answer.", labels, nil),
	}
	if asked {
		made.fallback = prometheus.NewDesc("tricorn_fallback_total",
			"Calls bound to an implementation that the reference answered instead, or that were refused above the cap.",
			append(labels[:len(labels):len(labels)], "why"), nil)
	}
	return made
}

func (c *callCollector) Describe(to chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{c.calls, c.errors, c.seconds, c.fallback} {
		if each != nil {
			to <- each
		}
	}
}

func (c *callCollector) Collect(to chan<- prometheus.Metric) {
	for _, each := range c.stats.all() {
		names := []string{each.service, each.method, each.implementation}
		bounds, total := each.cumulative()
		to <- prometheus.MustNewConstMetric(c.calls, prometheus.CounterValue, float64(total), names...)
		to <- prometheus.MustNewConstMetric(c.errors, prometheus.CounterValue, float64(each.errors.Load()), names...)
		to <- prometheus.MustNewConstHistogram(c.seconds, total, float64(each.nanoseconds.Load())/1e9, bounds, names...)
	}
	if c.fallback == nil {
		return
	}
	for name, count := range c.stats.Fallbacks() {
		service, method := split(name.Method)
		to <- prometheus.MustNewConstMetric(c.fallback, prometheus.CounterValue, float64(count),
			service, method, name.Implementation, name.Why)
	}
}

// NewRegistry makes a registry with the calls, the process (CPU, memory, descriptors) and Go's runtime. Asked are the calls that this process made
// to implementations elsewhere; nil when it makes none.
func NewRegistry(stats, asked *Stats) *prometheus.Registry {
	made := prometheus.NewRegistry()
	made.MustRegister(newCallCollector(stats, false), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if asked != nil {
		made.MustRegister(newCallCollector(asked, true))
	}
	return made
}

func (t *times) cumulative() (map[float64]uint64, uint64) {
	bounds := make(map[float64]uint64, highestShown-lowestShown+1)
	var total uint64
	for i := range t.buckets {
		total += uint64(t.buckets[i].Load())
		if exponent := i/parts + lowestExponent; i%parts == parts-1 && exponent >= lowestShown && exponent <= highestShown {
			bounds[math.Ldexp(1, exponent)] = total
		}
	}
	return bounds, total
}
