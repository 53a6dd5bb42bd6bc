package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
	"tricorn/telemetry"
)

// Client calls contracts: a grpc.ClientConnInterface for generated clients. The deadline is the earliest of the contract's, the context's
// and what is left of the call that is being served. Every error is a *contract.Refusal.
//
// A call is repeated only when its contract says that it may be (idempotency_level), when it carries an idempotency key, or when it
// provably was not sent. A call that is bound to a native implementation which is gone or late is answered by the reference, where nobody
// can tell the difference.
type Client struct {
	directory *Directory
	fallbacks *fallbacks
	counter   Counter
	tap       atomic.Pointer[Tap]
	budgets   sync.Map // service -> *budget
	breakers  sync.Map // breakerKey -> *breaker
}

type breakerKey struct{ method, target string }

// NewClient makes a client. Asked counts the calls that fall back, of which so many may be on their way at once; zero: 32.
func NewClient(directory *Directory, asked *telemetry.Stats, most int) *Client {
	if most <= 0 {
		most = mostFallbacks
	}
	return &Client{directory: directory, fallbacks: newFallbacks(asked, most)}
}

// Counter hears of calls that are made while a binding names another implementation than the reference, once they ended: Count of those that an
// implementation answered, failed or not, Missed of those that the reference answered in its place.
type Counter interface {
	Count(method, implementation string, generation int64, took time.Duration, failed bool)
	Missed(method, implementation string, generation int64)
}

// CountBy lets calls be counted. It is for before the first one.
func (c *Client) CountBy(counter Counter) { c.counter = counter }

// Trip is what became of a call, for whoever watches it.
type Trip struct {
	Implementation string
	// Generation is that of the binding by which the call went.
	Generation int64
	// FellBack says why the reference answered instead of what the call was bound to; empty when it did not.
	FellBack string
}

type tripKey struct{}

// Watching gives a context that notes what becomes of the next call that is made with it.
func Watching(ctx context.Context) (context.Context, *Trip) {
	trip := &Trip{}
	return context.WithValue(ctx, tripKey{}, trip), trip
}

// Invoke calls a method that answers once, for generated clients.
func (c *Client) Invoke(ctx context.Context, method string, request, answer any, _ ...grpc.CallOption) error {
	policy, err := contract.MethodPolicy(method)
	if err != nil {
		return unhosted(method)
	}
	asked, ok := request.(proto.Message)
	into, also := answer.(proto.Message)
	if !ok || !also {
		return fmt.Errorf("call %s: %T and %T are no messages", method, request, answer)
	}
	found, err := c.call(ctx, policy, asked, into)
	if err != nil {
		return err
	}
	if found != into {
		proto.Reset(into)
		proto.Merge(into, found)
	}
	return nil
}

// Call calls a method that answers once. The answer may be shared with whoever gave it: it must not be changed.
func (c *Client) Call(ctx context.Context, policy *contract.Policy, request proto.Message) (proto.Message, error) {
	return c.call(ctx, policy, request, nil)
}

// OpenBreakers names what is given a rest now: "package.Service/Method at TARGET".
func (c *Client) OpenBreakers() []string {
	names := []string{}
	c.breakers.Range(func(_, each any) bool {
		if breaker := each.(*breaker); breaker.isOpen() {
			names = append(names, breaker.method+" at "+breaker.target)
		}
		return true
	})
	slices.Sort(names)
	return names
}

func (c *Client) call(
	ctx context.Context, policy *contract.Policy, request, into proto.Message,
) (proto.Message, error) {
	trip, _ := ctx.Value(tripKey{}).(*Trip)
	ctx, cancel, err := outgoing(ctx, policy)
	if err != nil {
		return nil, err
	}
	defer cancel()
	route, err := c.directory.route(policy, request)
	if err != nil {
		return nil, FromError(err)
	}
	c.budget(policy).called()
	ctx, span := telemetry.Start(ctx, policy.FullName, telemetry.KindClient)
	if trip == nil {
		trip = &Trip{}
	}
	trip.Implementation, trip.Generation = route.implementation, route.generation
	answer, refusal := c.tapped(ctx, policy, request, into, route, trip)
	if refusal != nil {
		span.End(refusal)
		return nil, refusal
	}
	span.End(nil)
	return answer, nil
}

// counted is answer, told to whoever counts. Copies of calls are not counted, nor are calls whose callers went away.
func (c *Client) counted(
	ctx context.Context, policy *contract.Policy, request, into proto.Message, route *route, trip *Trip,
) (proto.Message, *contract.Refusal) {
	if !route.counted || c.counter == nil || CallOf(ctx).Shadow {
		return c.answer(ctx, policy, request, into, route, trip)
	}
	began := time.Now()
	answer, refusal := c.answer(ctx, policy, request, into, route, trip)
	if errors.Is(ctx.Err(), context.Canceled) {
		return answer, refusal
	}
	if trip.FellBack != "" {
		c.counter.Missed(policy.FullName, route.implementation, route.generation)
	}
	c.counter.Count(policy.FullName, trip.Implementation, route.generation, time.Since(began), tellsOfBroken(refusal))
	return answer, refusal
}

// answer gives what the route's implementation answers, or the reference.
func (c *Client) answer(
	ctx context.Context, policy *contract.Policy, request, into proto.Message, route *route, trip *Trip,
) (proto.Message, *contract.Refusal) {
	switch {
	case route.reference == nil:
		return c.persistently(ctx, policy, request, into, route)
	case policy.Safe && !route.here:
		return c.hedged(ctx, policy, request, into, route, trip)
	}
	answer, refusal := c.persistently(ctx, policy, request, into, route)
	if refusal == nil || ctx.Err() != nil || !fallsBack(policy, refusal, route) {
		return answer, refusal
	}
	return c.byReference(ctx, policy, request, into, route, cause(refusal), trip)
}

// persistently makes attempts until one is answered or none is left.
func (c *Client) persistently(
	ctx context.Context, policy *contract.Policy, request, into proto.Message, route *route,
) (proto.Message, *contract.Refusal) {
	for attempt := 0; ; attempt++ {
		answer, refusal := c.attempt(ctx, policy, request, into, route)
		if refusal == nil {
			return answer, nil
		}
		delay := backoff(attempt)
		again := retryable(refusal.Reason) && !refusal.BreakerOpen && (refusal.Unsent || repeatable(policy, request))
		if !again || attempt+1 >= attempts || left(ctx) <= delay || !c.budget(policy).take() {
			return nil, refusal
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, refusal
		}
	}
}

func (c *Client) attempt(
	ctx context.Context, policy *contract.Policy, request, into proto.Message, route *route,
) (proto.Message, *contract.Refusal) {
	breaker := c.breaker(policy, route)
	if refusal := breaker.before(); refusal != nil {
		return nil, refusal
	}
	answer, err := route.channel.unary(ctx, policy, request, into)
	refusal := fromError(ctx, err)
	breaker.after(refusal)
	return answer, refusal
}

func (c *Client) byReference(
	ctx context.Context, policy *contract.Policy, request, into proto.Message, route *route, why string, trip *Trip,
) (proto.Message, *contract.Refusal) {
	done, refusal := c.fallbacks.begin(ctx, policy, route.implementation, why)
	if refusal != nil {
		return nil, refusal
	}
	defer done()
	answer, refusal := c.persistently(ctx, policy, request, into, route.reference)
	trip.Implementation, trip.FellBack = route.reference.implementation, why
	return answer, refusal
}

func (c *Client) breaker(policy *contract.Policy, route *route) *breaker {
	if found, ok := route.breakers.Load(policy); ok {
		return found.(*breaker)
	}
	// One for each method and target: a method that is slow of itself must not take the others with it.
	key := breakerKey{policy.FullName, route.channel.target()}
	found, ok := c.breakers.Load(key)
	if !ok {
		threshold := uint(failures)
		if route.reference != nil {
			threshold = nativeFailures
		}
		found, _ = c.breakers.LoadOrStore(key, newBreaker(key.method, key.target, threshold))
	}
	route.breakers.Store(policy, found)
	return found.(*breaker)
}

func (c *Client) budget(policy *contract.Policy) *budget {
	found, ok := c.budgets.Load(policy.Service)
	if !ok {
		found, _ = c.budgets.LoadOrStore(policy.Service, newBudget())
	}
	return found.(*budget)
}

// outgoing gives the context of a call that is made while another is served, or while none is.
func outgoing(ctx context.Context, policy *contract.Policy) (context.Context, context.CancelFunc, error) {
	call := Call{Method: policy.FullName, Deadline: time.Now().Add(policy.Limit())}
	if served := CallOf(ctx); served != nil {
		if served.Shadow && !policy.Safe {
			return nil, nil, refuseEffects(policy.Name)
		}
		call.Identity, call.Causation = served.Identity, served.Causation
		call.Metadata, call.Shadow = served.Metadata, served.Shadow
		if !served.Deadline.IsZero() && served.Deadline.Before(call.Deadline) {
			call.Deadline = served.Deadline
		}
	}
	if asked, ok := ctx.Deadline(); ok && asked.Before(call.Deadline) {
		call.Deadline = asked
	}
	if time.Until(call.Deadline) <= 0 {
		refusal := contract.Refuse(contract.ReasonDeadlineExceeded, "no time is left to call "+policy.Name)
		refusal.Unsent = true
		return nil, nil, refusal
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, nil, contract.Refuse(contract.ReasonCancelled, "the caller of "+policy.Name+" went away")
	}
	within, cancel := context.WithDeadline(WithCall(ctx, call), call.Deadline)
	return within, cancel, nil
}

func repeatable(policy *contract.Policy, request proto.Message) bool {
	if policy.ClientStreaming {
		return false
	}
	if policy.Idempotent || policy.IdempotencyKeyField == "" {
		return policy.Idempotent
	}
	message := request.ProtoReflect()
	return message.Has(message.Descriptor().Fields().ByName(protoreflect.Name(policy.IdempotencyKeyField)))
}

func left(ctx context.Context) time.Duration {
	until, ok := ctx.Deadline()
	if !ok {
		return noLimit
	}
	return time.Until(until)
}

func serviceOf(target string) string {
	service, _, _ := strings.Cut(target, "/")
	return service
}
