package load

import (
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	longestMicros = int64(120 * time.Second / time.Microsecond)
	digits        = 3
)

// Report is what a run found. Times are in milliseconds.
type Report struct {
	Seconds float64 `json:"seconds"`
	Figures
	// The longest time in which nothing was answered well, from the first good answer to the last one.
	LongestGap float64 `json:"longestGapMs"`
	// CPU of this process, which is none of the server's.
	ClientCPU float64           `json:"clientCpuSeconds"`
	Classes   []ClassReport     `json:"classes"`
	Facts     map[string]string `json:"facts,omitempty"`
}

// ClassReport is what a run found of one class.
type ClassReport struct {
	Name string `json:"name"`
	Figures
}

// Figures are of many requests. A status of 0 stands for no answer, -1 for one that was not even sent in time.
type Figures struct {
	Requests  int64         `json:"requests"`
	Failures  int64         `json:"failures"`
	PerSecond float64       `json:"perSecond"`
	Statuses  map[int]int64 `json:"statuses"`
	P50       float64       `json:"p50Ms"`
	P95       float64       `json:"p95Ms"`
	P99       float64       `json:"p99Ms"`
	Longest   float64       `json:"longestMs"`
}

// recorder gathers answers; any number of callers use it at once.
type recorder struct {
	mutex   sync.Mutex
	classes []tally
	last    time.Time
	gap     time.Duration
}

type tally struct {
	histogram *hdrhistogram.Histogram
	statuses  map[int]int64
	failures  int64
}

func newRecorder(plan *Plan) *recorder {
	made := &recorder{classes: make([]tally, len(plan.Classes))}
	for at := range made.classes {
		made.classes[at] = tally{histogram: hdrhistogram.New(1, longestMicros, digits), statuses: map[int]int64{}}
	}
	return made
}

func (r *recorder) add(class int, answer Answer, took time.Duration, now time.Time) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	tally := &r.classes[class]
	tally.statuses[answer.Status]++
	// What is above the histogram's range counts as its end.
	_ = tally.histogram.RecordValue(min(max(took.Microseconds(), 1), longestMicros))
	if !answer.OK {
		tally.failures++
		return
	}
	if !r.last.IsZero() {
		r.gap = max(r.gap, now.Sub(r.last))
	}
	r.last = now
}

func (r *recorder) report(plan *Plan, seconds float64, cpu float64) *Report {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	all := tally{histogram: hdrhistogram.New(1, longestMicros, digits), statuses: map[int]int64{}}
	report := &Report{Seconds: seconds, LongestGap: millis(r.gap.Microseconds()), ClientCPU: cpu}
	for at, class := range r.classes {
		all.histogram.Merge(class.histogram)
		all.failures += class.failures
		for status, count := range class.statuses {
			all.statuses[status] += count
		}
		report.Classes = append(report.Classes, ClassReport{plan.Classes[at].Name, class.figures(seconds)})
	}
	report.Figures = all.figures(seconds)
	return report
}

func (t tally) figures(seconds float64) Figures {
	return Figures{
		Requests:  t.histogram.TotalCount(),
		Failures:  t.failures,
		PerSecond: float64(t.histogram.TotalCount()-t.failures) / max(seconds, 1e-9),
		Statuses:  t.statuses,
		P50:       millis(t.histogram.ValueAtQuantile(50)),
		P95:       millis(t.histogram.ValueAtQuantile(95)),
		P99:       millis(t.histogram.ValueAtQuantile(99)),
		Longest:   millis(t.histogram.Max()),
	}
}

func millis(micros int64) float64 { return float64(micros) / 1000 }

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}
