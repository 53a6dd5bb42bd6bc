package wire

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"tricorn/contract"
)

const (
	failures       = 20 // in a row, after which a target is given a rest
	nativeFailures = 5  // the same, where the reference stands in for it
	rest           = time.Second
	attempts       = 3
	backoffBase    = 20 * time.Millisecond
	backoffMost    = 500 * time.Millisecond
	callsPerRetry  = 10
	retriesAtOnce  = 10
)

// retryable reasons are those after which the same call may succeed a moment later.
func retryable(reason string) bool {
	return reason == contract.ReasonUnavailable || reason == contract.ReasonAborted
}

// backoff gives how long attempt n (from 0) waits: exponential, with full jitter.
func backoff(attempt int) time.Duration {
	return time.Duration(rand.Float64() * float64(min(backoffMost, backoffBase<<attempt)))
}

// budget lets retries add at most one to every ten calls, so that they never multiply an overload. A token bucket, counted in calls.
type budget struct {
	mutex  sync.Mutex
	credit int
}

func newBudget() *budget { return &budget{credit: retriesAtOnce * callsPerRetry} }

func (b *budget) called() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.credit = min(retriesAtOnce*callsPerRetry, b.credit+1)
}

func (b *budget) take() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.credit < callsPerRetry {
		return false
	}
	b.credit -= callsPerRetry
	return true
}

// breaker opens after so many failures in a row, lets one call through after a second, and closes when that one succeeds. Only what tells
// of a broken server counts as a failure: UNAVAILABLE, DEADLINE_EXCEEDED and INTERNAL.
type breaker struct {
	method string
	target string
	inner  circuitbreaker.CircuitBreaker[any]
}

func newBreaker(method, target string, threshold uint) *breaker {
	inner := circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(threshold).WithSuccessThreshold(1).WithDelay(rest).Build()
	return &breaker{method, target, inner}
}

func (b *breaker) isOpen() bool { return !b.inner.IsClosed() }

// before asks whether a call may be made.
func (b *breaker) before() *contract.Refusal {
	if b.inner.TryAcquirePermit() {
		return nil
	}
	refusal := contract.Refuse(contract.ReasonUnavailable, b.method+" failed too often and is given a rest").
		After(max(b.inner.RemainingDelay(), rest/10))
	refusal.Unsent, refusal.BreakerOpen = true, true
	return refusal
}

// after tells how the call ended: a nil refusal for an answer.
func (b *breaker) after(refusal *contract.Refusal) {
	switch {
	case refusal == nil:
		b.inner.RecordSuccess()
	case tellsOfBroken(refusal):
		b.inner.RecordFailure()
	case refusal.Reason != contract.ReasonCancelled:
		b.inner.RecordSuccess()
	case b.inner.IsHalfOpen():
		// Its caller went away before the answer came: nothing was learned, and another probe follows a rest later.
		b.inner.RecordFailure()
	}
}

// tellsOfBroken tells whether a refusal is that of a broken server, and no answer of the business.
func tellsOfBroken(refusal *contract.Refusal) bool {
	return refusal != nil && (refusal.Reason == contract.ReasonUnavailable ||
		refusal.Reason == contract.ReasonDeadlineExceeded || refusal.Reason == contract.ReasonInternal)
}

// upstream bounds how many calls may be at one address at once, so that one that hangs does not take everything with it.
type upstream struct {
	places bulkhead.Bulkhead[any]
}

func newUpstream(most uint) *upstream {
	return &upstream{places: bulkhead.New[any](most)}
}

func (u *upstream) enter(method string) *contract.Refusal {
	if u.places.TryAcquirePermit() {
		return nil
	}
	refusal := contract.Refuse(contract.ReasonUnavailable,
		"too many calls wait for what answers "+method+"; try again in a moment").After(time.Second)
	refusal.Unsent = true
	return refusal
}

func (u *upstream) leave() { u.places.ReleasePermit() }
