package prove

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tricorn/contract"
	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

var log = telemetry.Logger("tricorn.prove")

// Taps has the calls of this process recorded and compared as bindings and orders of the home say. What they ask for is copied here and handed to a
// process that has the reference of the contract, which records and compares as it does with its own calls. On a caller's path a call of the
// sample is serialised and put into a queue, nothing else; a full queue drops it, which is counted.
type Taps struct {
	client     *wire.Client
	copies     *copies
	recordings *wire.Watched[[]recording]
	bindings   *wire.Bindings
	changes    time.Time
}

// NewTaps makes the taps of a process. Nobody looks at its calls before Follow.
func NewTaps(home, process string, client *wire.Client, directory *wire.Directory) *Taps {
	return &Taps{client: client, copies: newCopies(process, directory), recordings: watchRecordings(home)}
}

// Follow looks at the calls that the orders and these bindings ask for now, and at no others. It is for one goroutine.
func (t *Taps) Follow(bindings *wire.Bindings) {
	now := time.Now()
	changed := t.recordings.Poll() || bindings != t.bindings
	if !changed && (t.changes.IsZero() || now.Before(t.changes)) {
		return
	}
	t.bindings, t.changes = bindings, time.Time{}
	made := &looker{copies: t.copies, wanted: map[string]*wanted{}}
	made.shadow(bindings)
	for _, each := range t.recordings.Current() {
		ends := each.ends()
		if !now.Before(ends) || !made.record(each) {
			continue
		}
		if t.changes.IsZero() || ends.Before(t.changes) {
			t.changes = ends
		}
	}
	if len(made.wanted) == 0 {
		t.client.TapBy(nil)
		return
	}
	t.client.TapBy(made)
}

// Run hands on what was copied until the context ends, then what is left of it.
func (t *Taps) Run(ctx context.Context) { t.copies.run(ctx) }

// looker copies calls: a tap of the wire. It never changes.
type looker struct {
	copies *copies
	wanted map[string]*wanted
}

// wanted is what is asked of the calls of a method.
type wanted struct {
	recordings []recording
	shadow     *wire.Shadow
	generation int64
}

func (l *looker) of(policy *contract.Policy) *wanted {
	if l.wanted[policy.FullName] == nil {
		l.wanted[policy.FullName] = &wanted{}
	}
	return l.wanted[policy.FullName]
}

// shadow takes the methods that are compared: those that may be asked twice, and answer once.
func (l *looker) shadow(bindings *wire.Bindings) {
	for _, target := range bindings.Targets() {
		for _, policy := range policiesOf(target) {
			binding := bindings.Of(policy)
			if binding.Shadow == nil || !binding.Shadow.Wants(policy.Name) || !policy.Safe || policy.Streaming() {
				continue
			}
			asked := l.of(policy)
			asked.shadow, asked.generation = binding.Shadow, binding.Generation
		}
	}
}

// record takes the methods that are recorded; false when none of them is known here.
func (l *looker) record(order recording) bool {
	known := false
	for _, policy := range policiesOf(order.Contract) {
		if order.wants(policy.Name) {
			asked := l.of(policy)
			asked.recordings = append(asked.recordings, order)
			known = true
		}
	}
	return known
}

// Begin draws lots; a call of a sample is copied.
func (l *looker) Begin(policy *contract.Policy, request proto.Message, call *wire.Call) wire.Finish {
	asked := l.wanted[policy.FullName]
	if asked == nil || call.Shadow {
		return nil
	}
	copied := &tricornv1.CopiedCall{}
	for _, each := range asked.recordings {
		if drawn(each.Sample) {
			copied.Recordings = append(copied.Recordings, each.ID)
		}
	}
	if asked.shadow != nil && drawn(asked.shadow.Sample) {
		copied.Compare = &tricornv1.CopyToCompare{Implementation: asked.shadow.Implementation, Generation: asked.generation}
	}
	if copied.GetRecordings() == nil && copied.GetCompare() == nil {
		return nil
	}
	began := time.Now()
	content, err := proto.Marshal(request)
	if err != nil {
		return nil // no wire would take it either
	}
	copied.Method, copied.Request, copied.StartTime = policy.FullName, content, timestamppb.New(began)
	copied.Identity, copied.Metadata = identityOf(call), maps.Clone(call.Metadata)
	copying := time.Since(began)
	return func(answer proto.Message, refusal *contract.Refusal, took time.Duration, implementation string) {
		began := time.Now()
		if refusal != nil {
			copied.Outcome = &tricornv1.CopiedCall_Status{Status: wire.ToStatus(refusal).Proto()}
		} else if content, err := proto.Marshal(answer); err == nil {
			copied.Outcome = &tricornv1.CopiedCall_Answer{Answer: content}
		} else {
			return
		}
		copied.Duration, copied.Implementation = durationpb.New(took), implementation
		copied.Copying = durationpb.New(copying + time.Since(began))
		l.copies.put(copied)
	}
}

func identityOf(call *wire.Call) *tricornv1.CallIdentity {
	if call.Identity == nil {
		return nil
	}
	return &tricornv1.CallIdentity{
		UserId: call.Identity.UserID, SessionId: call.Identity.SessionID, Roles: slices.Clone(call.Identity.Roles),
	}
}

func drawn(sample int) bool { return rand.IntN(wire.All) < sample }

// policiesOf gives the methods of a target that are known in this process; what was never linked in is never called from here.
func policiesOf(target string) []*contract.Policy {
	if policy, err := contract.MethodPolicy(target); err == nil {
		return []*contract.Policy{policy}
	}
	policies, err := contract.ServicePolicies(target)
	if err != nil {
		return nil
	}
	return policies
}
