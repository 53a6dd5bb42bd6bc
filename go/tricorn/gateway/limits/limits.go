// Package limits counts requests by GCRA, the generic cell rate algorithm: one number for each caller, exact, with
// bursts.
package limits

import (
	"context"
	"math"
	"net/http"
	"time"

	"tricorn/gateway/exchange"
)

// Rate is Limit requests in Period, of which Burst may come at once; zero: all of them.
type Rate struct {
	Limit  int
	Period time.Duration
	Burst  int
	// Closed refuses requests while the shared store is out of reach. Otherwise this process counts them alone.
	Closed bool
}

// Scaled is the rate with limit and burst multiplied by factor, each at least one.
func (r Rate) Scaled(factor float64) Rate {
	r.Limit = max(1, int(float64(r.Limit)*factor))
	r.Burst = max(1, int(float64(r.Burst)*factor))
	return r
}

func (r Rate) interval() float64 { return r.Period.Seconds() / float64(r.Limit) }

func (r Rate) tolerance() float64 {
	burst := r.Burst
	if burst == 0 {
		burst = r.Limit
	}
	return r.interval() * float64(burst)
}

// Verdict says whether a request may pass.
type Verdict struct {
	Allowed   bool
	Limit     int
	Remaining int
	// Reset is how long it takes until the whole burst is there again.
	Reset time.Duration
	// RetryAfter is how long it takes until one request may pass; zero when this one does.
	RetryAfter time.Duration
}

// WriteTo puts the verdict into the head of an answer.
func (v Verdict) WriteTo(w http.ResponseWriter, x *exchange.Exchange) {
	x.SayNumber(w, "Ratelimit-Limit", v.Limit)
	x.SayNumber(w, "Ratelimit-Remaining", v.Remaining)
	x.SayNumber(w, "Ratelimit-Reset", ceilSeconds(v.Reset))
}

// WaitSeconds is what Retry-After says: whole seconds, at least one.
func (v Verdict) WaitSeconds() int { return max(1, ceilSeconds(v.RetryAfter)) }

func ceilSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// Store keeps the numbers: in this process, or shared by several gateways.
type Store interface {
	// Take counts one request of a caller. An error is a *contract.Refusal: the numbers are out of reach, and the rate
	// is one that must not go uncounted.
	Take(ctx context.Context, key string, rate Rate) (Verdict, error)
	// TakeCaller is Take for a class and a user whose token is remembered, by Key.
	TakeCaller(ctx context.Context, class string, user *exchange.Caller, rate Rate) (Verdict, error)
}

// Key is that of a user in a class.
func Key(class, user string) string { return class + ":u:" + user }

// decide is GCRA: now and arrival (the theoretical arrival time of the caller's next request) are seconds on one
// clock. It returns the new arrival time, which is to be kept when the verdict allows.
func decide(now, arrival float64, rate Rate) (Verdict, float64) {
	interval, tolerance := rate.interval(), rate.tolerance()
	next := max(arrival, now) + interval
	excess := next - now - tolerance
	if excess > interval*1e-9 {
		return Verdict{Limit: rate.Limit, Reset: seconds(next - interval - now), RetryAfter: seconds(excess)}, arrival
	}
	left := int((tolerance-(next-now))/interval + 1e-9)
	return Verdict{Allowed: true, Limit: rate.Limit, Remaining: left, Reset: seconds(next - now)}, next
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
