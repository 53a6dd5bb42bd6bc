package wire

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"tricorn/contract"
	"tricorn/telemetry"
)

// The names under which a call's facts travel. All begin with "tricorn-", which a gateway takes off whatever comes from outside.
const (
	keyUserID      = "tricorn-user-id"
	keySessionID   = "tricorn-session-id"
	keyRoles       = "tricorn-roles"
	keyCausation   = "tricorn-causation"
	keyShadow      = "tricorn-shadow"
	metaPrefix     = "tricorn-meta-"
	keyTraceparent = "traceparent"
)

// onTheWay is what an answer takes back: a refusal that is sent earlier by this much still arrives in time.
const onTheWay = 2 * time.Millisecond

// Outgoing gives a context whose calls by gRPC say what the context's call and trace say. The Client does this itself.
func Outgoing(ctx context.Context) context.Context {
	var pairs metadata.MD
	if call := CallOf(ctx); call != nil {
		pairs = call.metadata()
	} else {
		pairs = metadata.MD{}
	}
	if traceparent := telemetry.Traceparent(ctx); traceparent != "" {
		pairs[keyTraceparent] = []string{traceparent}
	}
	return metadata.NewOutgoingContext(ctx, pairs)
}

func (c *Call) metadata() metadata.MD {
	pairs := make(metadata.MD, len(c.Metadata)+6)
	for key, value := range c.Metadata {
		pairs[metaPrefix+strings.ToLower(key)] = []string{value}
	}
	if c.Identity != nil {
		roles := slices.Sorted(slices.Values(c.Identity.Roles))
		pairs[keyUserID] = []string{c.Identity.UserID}
		pairs[keySessionID] = []string{c.Identity.SessionID}
		pairs[keyRoles] = []string{strings.Join(roles, ",")}
	}
	if c.Causation != "" {
		pairs[keyCausation] = []string{c.Causation}
	}
	if c.Shadow {
		pairs[keyShadow] = []string{"1"}
	}
	return pairs
}

// incoming reads what a caller sent along. Whoever can reach the socket is believed, so it is never a public one.
func incoming(ctx context.Context, policy *contract.Policy, sent metadata.MD) (Call, string) {
	call := Call{
		Method:    policy.FullName,
		Deadline:  time.Now().Add(policy.Limit()),
		Causation: first(sent, keyCausation),
		Shadow:    len(sent.Get(keyShadow)) > 0,
	}
	if asked, ok := ctx.Deadline(); ok && asked.Add(-onTheWay).Before(call.Deadline) {
		call.Deadline = asked.Add(-onTheWay)
	}
	if user := first(sent, keyUserID); user != "" {
		call.Identity = &Identity{UserID: user, SessionID: first(sent, keySessionID)}
		for role := range strings.SplitSeq(first(sent, keyRoles), ",") {
			if role != "" {
				call.Identity.Roles = append(call.Identity.Roles, role)
			}
		}
	}
	for key, values := range sent {
		if name, ok := strings.CutPrefix(key, metaPrefix); ok && len(values) > 0 {
			if call.Metadata == nil {
				call.Metadata = map[string]string{}
			}
			call.Metadata[name] = values[0]
		}
	}
	return call, first(sent, keyTraceparent)
}

func first(sent metadata.MD, key string) string {
	if values := sent.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}
