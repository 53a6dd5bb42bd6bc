// Package shed refuses work early when there is too much of it, so that what was begun is answered in time.
package shed

import (
	"net/http"
	"sync/atomic"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/problem"
)

// Limits is how much may be in hand at once. Streams stay long and do little, so they have a limit of their own.
type Limits struct {
	Calls   int64
	Streams int64
}

// DefaultLimits hold a gateway's memory below some 200 MB: a request holds its connection's buffers and its body.
var DefaultLimits = Limits{Calls: 2048, Streams: 10_000}

// Shedder counts what is in hand.
type Shedder struct {
	limits  Limits
	calls   atomic.Int64
	streams atomic.Int64
	refused atomic.Int64
}

// New makes a shedder with nothing in hand.
func New(limits Limits) *Shedder { return &Shedder{limits: limits} }

// Refused is how many requests were turned away so far.
func (s *Shedder) Refused() int64 { return s.refused.Load() }

// Guard refuses a request with 503 and Retry-After when as many as allowed are in hand.
func (s *Shedder) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		inHand, most := &s.calls, s.limits.Calls
		if x.Policy != nil && x.Policy.ServerStreaming {
			inHand, most = &s.streams, s.limits.Streams
		}
		defer inHand.Add(-1)
		if inHand.Add(1) > most {
			s.refused.Add(1)
			busy := problem.New(contract.ReasonUnavailable, "too much is going on at the moment; try again in a second")
			busy.Header = http.Header{"Retry-After": {"1"}}
			x.Refuse(w, r, busy)
			return
		}
		next.ServeHTTP(w, r)
	})
}
