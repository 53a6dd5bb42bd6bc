package wire

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tricorn/contract"
)

const (
	// probeTime is the longest that it takes to begin the second try beside a call which probes whether the native implementation works again.
	probeTime = 50 * time.Millisecond
	late      = "late"
)

// second is the try at the reference, which is begun only when the native implementation takes long.
type second struct {
	mutex  sync.Mutex
	closed bool
	begun  bool
	stop   context.CancelFunc

	done    chan struct{}
	answer  proto.Message
	refusal *contract.Refusal
	trip    Trip
}

// begin gives the context of the try, unless it is too late for one.
func (s *second) begin(ctx context.Context) (context.Context, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return nil, false
	}
	s.begun, s.done = true, make(chan struct{})
	ctx, s.stop = context.WithCancel(ctx)
	return ctx, true
}

// close tells whether the try was begun; from now on it is not.
func (s *second) close() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.closed = true
	return s.begun
}

// give ends the try and waits until nothing of it is left.
func (s *second) give() {
	s.stop()
	<-s.done
}

// hedged makes one attempt at a native implementation, and leaves the reference enough time to answer in its place: it is asked beside
// after half of the time left. Whichever answers first ends the other. A second try that finds nobody leaves the first its time; a first
// one that is gone leaves the second its own.
func (c *Client) hedged(
	ctx context.Context, policy *contract.Policy, request, into proto.Message, route *route, trip *Trip,
) (proto.Message, *contract.Refusal) {
	patience := left(ctx) / 2
	if c.breaker(policy, route).isOpen() {
		patience = min(patience, probeTime)
	}
	firstCtx, stopFirst := context.WithCancel(ctx)
	defer stopFirst()
	other := &second{}
	timer := time.AfterFunc(patience, func() {
		ctx, ok := other.begin(ctx)
		if !ok {
			return
		}
		defer close(other.done)
		other.answer, other.refusal = c.byReference(ctx, policy, request, nil, route, late, &other.trip)
		if other.isAnswer() {
			stopFirst()
		}
	})
	answer, refusal := c.attempt(firstCtx, policy, request, into, route)
	timer.Stop()
	begun := other.close()
	if begun {
		defer other.stop()
	}
	switch {
	case refusal == nil:
		if begun {
			other.give()
		}
		return answer, nil
	case !begun && ctx.Err() == nil && fallsBack(policy, refusal, route):
		return c.byReference(ctx, policy, request, into, route, cause(refusal), trip)
	case !begun:
		return nil, refusal
	case firstCtx.Err() == nil && !fallsBack(policy, refusal, route):
		other.give()
		return nil, refusal
	}
	<-other.done
	if firstCtx.Err() != nil && ctx.Err() == nil {
		// It was ended because it was late.
		c.breaker(policy, route).after(contract.TooLate(policy.Name))
	}
	*trip = Trip{other.trip.Implementation, trip.Generation, other.trip.FellBack}
	return other.answer, other.refusal
}

// isAnswer tells whether the second try found somebody.
func (s *second) isAnswer() bool {
	return s.refusal == nil ||
		(s.refusal.Reason != contract.ReasonUnavailable && s.refusal.Reason != contract.ReasonDeadlineExceeded)
}
