package prove

import (
	"cmp"
	"math"
	"sync"
	"time"
)

// Bucket i of a histogram holds the times from 2^(i/16) to 2^((i+1)/16) microseconds; the first begins at zero, the last has no end.
const (
	parts   = 16
	buckets = 28 * parts
)

// tally is what was counted of an arm. Latency is that of calls that were answered.
type tally struct {
	mutex   sync.Mutex
	calls   int64
	errors  int64
	seconds float64
	counts  map[int]int64
}

func (t *tally) answered(took time.Duration, failed bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.calls++
	if failed {
		t.errors++
	}
	if t.counts == nil {
		t.counts = map[int]int64{}
	}
	t.counts[bucketOf(took)]++
	t.seconds += took.Seconds()
}

func (t *tally) missed() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.calls++
	t.errors++
}

func (t *tally) merge(said counted) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.calls += said.Calls
	t.errors += said.Errors
	t.seconds += said.Latency.Seconds
	if t.counts == nil {
		t.counts = map[int]int64{}
	}
	for bucket, count := range said.Latency.Counts {
		t.counts[bucket] += count
	}
}

func (t *tally) describe(name arm) counted {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	made := counted{
		Method: name.method, Implementation: name.implementation, Generation: name.generation, Calls: t.calls, Errors: t.errors,
		Latency: histogram{Seconds: math.Round(t.seconds*1e9) / 1e9, Counts: map[int]int64{}},
	}
	for bucket, count := range t.counts {
		made.Latency.Counts[bucket] = count
	}
	return made
}

func bucketOf(took time.Duration) int {
	microseconds := float64(took) / float64(time.Microsecond)
	if microseconds <= 1 {
		return 0
	}
	return min(int(math.Log2(microseconds)*parts), buckets-1)
}

// file is what tricorn.prove.tally reads. A native process has its calls compared elsewhere, so what it says of shadow is
// empty.
type file struct {
	Version  int               `json:"version"`
	Process  string            `json:"process"`
	Shadowed map[string]string `json:"shadowed"`
	Tallies  []counted         `json:"tallies"`
	Shadow   shadow            `json:"shadow"`
}

type shadow struct {
	Pairings     []struct{}          `json:"pairings"`
	CandidateCPU map[string]struct{} `json:"candidate_cpu"`
}

var nothing = shadow{[]struct{}{}, map[string]struct{}{}}

type counted struct {
	Method         string    `json:"method"`
	Implementation string    `json:"implementation"`
	Generation     int64     `json:"generation"`
	Calls          int64     `json:"calls"`
	Errors         int64     `json:"errors"`
	Compared       int64     `json:"compared"`
	Different      int64     `json:"different"`
	Latency        histogram `json:"latency"`
}

type histogram struct {
	Seconds float64       `json:"seconds"`
	Counts  map[int]int64 `json:"counts"`
}

func order(a, b counted) int {
	return cmp.Or(cmp.Compare(a.Method, b.Method), cmp.Compare(a.Implementation, b.Implementation),
		cmp.Compare(a.Generation, b.Generation))
}
