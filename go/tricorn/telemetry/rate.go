package telemetry

import (
	"sync"
	"sync/atomic"
	"time"
)

// traceRate says how many of the traces that begin here are recorded; nil: all.
var traceRate atomic.Pointer[rate]

// rate lets so many through in a second, and as many at once after a second of none.
type rate struct {
	limit float64
	now   func() time.Time

	mutex sync.Mutex
	left  float64
	when  time.Time
}

func newRate(limit float64, now func() time.Time) *rate {
	return &rate{limit: limit, now: now, left: max(limit, 1), when: now()}
}

// takes tells whether one more is within the limit.
func (r *rate) takes() bool {
	if r == nil {
		return true
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	now := r.now()
	r.left = min(r.left+now.Sub(r.when).Seconds()*r.limit, max(r.limit, 1))
	r.when = now
	if r.limit <= 0 || r.left < 1 {
		return false
	}
	r.left--
	return true
}
