// Package shed refuses work early when there is too much of it, so that what was begun is answered in time.
package shed

import (
	"net/http"
	"sync/atomic"

	"tricorn/contract"
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

// Place is that of a request in what is in hand, from Enter until Leave. The zero value takes none.
type Place struct {
	shedder *Shedder
	taken   *atomic.Int64
}

// Enter counts a request, whatever will become of it; false when as many as allowed are in hand, and it is to be refused. An essential one has its
// place anyway. A nil shedder takes everything.
func (s *Shedder) Enter(essential bool) (Place, bool) {
	if s == nil {
		return Place{}, true
	}
	place := Place{s, &s.calls}
	if s.calls.Add(1) <= s.limits.Calls || essential {
		return place, true
	}
	s.refused.Add(1)
	return place, false
}

// Stay counts the request as a stream from now on; false when there are as many as allowed.
func (p *Place) Stay() bool {
	if p.shedder == nil {
		return true
	}
	p.taken.Add(-1)
	p.taken = &p.shedder.streams
	if p.taken.Add(1) <= p.shedder.limits.Streams {
		return true
	}
	p.shedder.refused.Add(1)
	return false
}

// Leave ends it.
func (p *Place) Leave() {
	if p.taken != nil {
		p.taken.Add(-1)
	}
}

// Busy is what is answered to who is turned away.
func Busy() *problem.Problem {
	busy := problem.New(contract.ReasonUnavailable, "too much is going on at the moment; try again in a second")
	busy.Header = http.Header{"Retry-After": {"1"}}
	return busy
}
