package contract

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

const domain = "tricorn"

// GRPCStatus is the refusal on gRPC: a code, google.rpc.ErrorInfo, and google.rpc.BadRequest and RetryInfo where they say something.
func (r *Refusal) GRPCStatus() *status.Status {
	entry := Entry(r.Reason)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: entry.Name, Domain: domain, Metadata: r.Metadata}}
	if len(r.Violations) > 0 {
		broken := &errdetails.BadRequest{}
		for _, each := range r.Violations {
			broken.FieldViolations = append(broken.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: each.Field, Description: each.Message, Reason: each.Rule})
		}
		details = append(details, broken)
	}
	if r.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(r.RetryAfter)})
	}
	plain := status.New(entry.GRPC, r.Detail)
	if full, err := plain.WithDetails(details...); err == nil {
		return full
	}
	return plain
}

// FromStatus gives the refusal that a server sent; nil for a status that is not in the words of a contract.
func FromStatus(said *status.Status) *Refusal {
	refusal := Refuse("", said.Message())
	for _, detail := range said.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			refusal.Reason = detail.GetReason()
			refusal.Metadata = detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				refusal.Violations = append(refusal.Violations,
					Violation{Field: each.GetField(), Rule: each.GetReason(), Message: each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			refusal.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	if refusal.Reason == "" {
		return nil
	}
	// What is not implemented was not done.
	refusal.Unsent = refusal.Reason == ReasonUnimplemented
	return refusal
}
