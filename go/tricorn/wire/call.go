package wire

import (
	"context"
	"slices"
	"time"

	"tricorn/contract"
)

// RefusedEffect stands in the metadata of the refusal that a shadowed call gets where it would have an effect: the method that it may not call.
const RefusedEffect = "shadow-refused"

// Identity is whoever a call is made for, as a gateway verified it.
type Identity struct {
	UserID    string
	SessionID string
	Roles     []string
}

// HasRole tells whether the caller has at least one of the roles.
func (i *Identity) HasRole(any ...string) bool {
	return i != nil && slices.ContainsFunc(any, func(role string) bool { return slices.Contains(i.Roles, role) })
}

// Call is what travels with a call besides its request. It is never changed once it is in a context.
type Call struct {
	// Method is "package.Service/Method"; empty for work that no call started.
	Method   string
	Identity *Identity
	Deadline time.Time
	// Causation is the id of the event or the key of the call that led to this one.
	Causation string
	Metadata  map[string]string
	// Shadow marks a call that is made to compare answers: nothing that it leads to may have an effect.
	Shadow bool
}

type callKey struct{}

// CallOf gives the call that is being served; nil outside one.
func CallOf(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	return call
}

// WithCall gives a context in which calls inherit identity, deadline, causation and metadata: what a gateway sets for what comes in from
// outside, and a job for itself. The deadline is not imposed on the context; the zero time means none.
func WithCall(ctx context.Context, call Call) context.Context {
	return context.WithValue(ctx, callKey{}, &call)
}

// UserOf gives the caller, or an UNAUTHENTICATED refusal when nobody in particular calls.
func UserOf(ctx context.Context) (*Identity, error) {
	if call := CallOf(ctx); call != nil && call.Identity != nil {
		return call.Identity, nil
	}
	return nil, contract.Refuse(contract.ReasonUnauthenticated, "log in first: this needs a user")
}

func refuseEffects(method string) *contract.Refusal {
	refusal := contract.Refusef(contract.ReasonPermissionDenied,
		"%s may have effects, which nothing that a shadowed call leads to may have", method)
	refusal.Unsent = true
	return refusal.With(RefusedEffect, method)
}
