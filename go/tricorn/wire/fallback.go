package wire

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tricorn/contract"
	"tricorn/telemetry"
)

const (
	// mostFallbacks may be on their way at once. The reference may be many times slower than what it stands in for: above it calls are refused
	// instead of queued, so that those within it end in time.
	mostFallbacks = 32
	overTheCap    = "over_the_cap"
	logEvery      = 10 * time.Second
)

// fallsBack tells whether the reference may answer a call after its native implementation gave a refusal: only where nobody can tell the
// difference.
func fallsBack(policy *contract.Policy, refusal *contract.Refusal, route *route) bool {
	if route.reference == nil {
		return false
	}
	if policy.Safe {
		return refusal.Transport || refusal.Reason == contract.ReasonUnavailable ||
			refusal.Reason == contract.ReasonUnimplemented
	}
	// An idempotency key that only one implementation knows would let the other do the same thing again.
	return refusal.Unsent && (route.shared || policy.IdempotencyKeyField == "")
}

// cause says why the native implementation did not answer: one of a few words, for metrics.
func cause(refusal *contract.Refusal) string {
	switch {
	case refusal.BreakerOpen:
		return "breaker_open"
	case refusal.Reason == contract.ReasonUnimplemented:
		return "unimplemented"
	case refusal.Reason == contract.ReasonUnavailable && refusal.Unsent:
		return "unreachable"
	case refusal.Reason == contract.ReasonDeadlineExceeded:
		return "late"
	default:
		return "broke_off"
	}
}

// fallbacks lets so many calls at once be answered by the reference, counts them, and tells the log.
type fallbacks struct {
	stats  *telemetry.Stats
	most   int64
	active atomic.Int64
	mutex  sync.Mutex
	logged map[telemetry.Fallback]*told
}

type told struct {
	at     time.Time
	untold int
}

func newFallbacks(stats *telemetry.Stats, most int) *fallbacks {
	return &fallbacks{stats: stats, most: int64(most), logged: map[telemetry.Fallback]*told{}}
}

// begin is called before the reference answers, done after it; above the cap there is a refusal instead.
func (f *fallbacks) begin(
	ctx context.Context, policy *contract.Policy, implementation, why string,
) (done func(), refusal *contract.Refusal) {
	if f.active.Add(1) > f.most {
		f.active.Add(-1)
		f.count(ctx, policy, implementation, overTheCap)
		refusal := contract.Refuse(contract.ReasonUnavailable,
			policy.Name+" can be answered for a few at a time just now; try again in a moment").After(time.Second)
		refusal.Unsent = true
		return nil, refusal
	}
	f.count(ctx, policy, implementation, why)
	return func() { f.active.Add(-1) }, nil
}

func (f *fallbacks) count(ctx context.Context, policy *contract.Policy, implementation, why string) {
	f.stats.FellBack(policy.FullName, implementation, why)
	name := telemetry.Fallback{Method: policy.Service, Implementation: implementation, Why: why}
	f.mutex.Lock()
	last, ok := f.logged[name]
	if ok && time.Since(last.at) < logEvery {
		last.untold++
		f.mutex.Unlock()
		return
	}
	untold := 0
	if ok {
		untold = last.untold
	}
	f.logged[name] = &told{at: time.Now()}
	f.mutex.Unlock()
	event := "the reference answers instead"
	if why == overTheCap {
		event = "refused: too many calls fall back"
	}
	log.WarnContext(ctx, event, "method", policy.FullName, "implementation", implementation, "why", why,
		"since_last_line", untold+1)
}
