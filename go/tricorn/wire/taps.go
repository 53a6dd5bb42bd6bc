package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/telemetry"
)

// Tap looks at calls that are answered once. It must not block and must not change a message; what it wants to keep of the request it copies at once.
// One that fails harms nobody's call.
type Tap interface {
	// Begin is told of a call before it is made. What it gives is told the end, unless the caller goes away first; nil: it does not want to know.
	Begin(policy *contract.Policy, request proto.Message, call *Call) Finish
}

// Finish takes how a call ended: the answer or the refusal, the time that it took, and the implementation that answered.
type Finish func(answer proto.Message, refusal *contract.Refusal, took time.Duration, implementation string)

// TapBy lets a tap look at the calls from the next one on, in place of the one before; nil: nobody looks.
func (c *Client) TapBy(tap Tap) {
	if tap == nil {
		c.tap.Store(nil)
		return
	}
	c.tap.Store(&tap)
}

// tapped is counted, seen by whoever looks.
func (c *Client) tapped(
	ctx context.Context, policy *contract.Policy, request, into proto.Message, route *route, trip *Trip,
) (proto.Message, *contract.Refusal) {
	tap := c.tap.Load()
	if tap == nil {
		return c.counted(ctx, policy, request, into, route, trip)
	}
	finish := begun(ctx, *tap, policy, request)
	if finish == nil {
		return c.counted(ctx, policy, request, into, route, trip)
	}
	began := time.Now()
	answer, refusal := c.counted(ctx, policy, request, into, route, trip)
	if took := time.Since(began); !errors.Is(ctx.Err(), context.Canceled) {
		func() {
			defer harmless(ctx, policy)
			finish(answer, refusal, took, trip.Implementation)
		}()
	}
	return answer, refusal
}

func begun(ctx context.Context, tap Tap, policy *contract.Policy, request proto.Message) Finish {
	defer harmless(ctx, policy)
	return tap.Begin(policy, request, CallOf(ctx))
}

// harmless keeps a defect of who looks on from the caller.
func harmless(ctx context.Context, policy *contract.Policy) {
	if said := recover(); said != nil {
		log.ErrorContext(ctx, "a tap failed", "method", policy.FullName, "exception", fmt.Sprint("panicked: ", said),
			"stack", telemetry.Stack())
	}
}
