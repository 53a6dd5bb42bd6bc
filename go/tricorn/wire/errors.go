package wire

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tricorn/contract"
	"tricorn/telemetry"
)

var log = telemetry.Logger("tricorn.wire")

const untoldDetail = "the part of the system that answers this could not be reached, or broke off; try again"

// untold are the reasons for codes that came without one.
var untold = map[codes.Code]string{
	codes.InvalidArgument:   contract.ReasonInvalidArgument,
	codes.Unauthenticated:   contract.ReasonUnauthenticated,
	codes.PermissionDenied:  contract.ReasonPermissionDenied,
	codes.NotFound:          contract.ReasonNotFound,
	codes.AlreadyExists:     contract.ReasonAlreadyExists,
	codes.Aborted:           contract.ReasonAborted,
	codes.Canceled:          contract.ReasonCancelled, // by whoever called: see gaveUp
	codes.Unimplemented:     contract.ReasonUnimplemented,
	codes.Unavailable:       contract.ReasonUnavailable,
	codes.DeadlineExceeded:  contract.ReasonDeadlineExceeded,
	codes.ResourceExhausted: contract.ReasonPayloadTooLarge,
}

// ToStatus gives a refusal as gRPC sends it.
func ToStatus(refusal *contract.Refusal) *status.Status { return refusal.GRPCStatus() }

// FromError gives the refusal for any error of a call: the one that a server sent, or the one that says what the transport met; nil for none.
func FromError(err error) *contract.Refusal { return fromError(context.Background(), err) }

// fromError is FromError for an error of a call that was made with ctx. The log names its trace, and it tells who gave up.
func fromError(ctx context.Context, err error) *contract.Refusal {
	if err == nil {
		return nil
	}
	var refusal *contract.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	said := status.Convert(err)
	if refusal := contract.FromStatus(said); refusal != nil {
		return refusal
	}
	code := said.Code()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case code == codes.Canceled:
		code = gaveUp(ctx)
	}
	reason, ok := untold[code]
	if !ok {
		reason = contract.ReasonInternal
	}
	if code != codes.Canceled {
		// It may name addresses and paths, which are nobody's business outside.
		log.WarnContext(ctx, "a call met the transport", "code", code.String(), "said", said.Message())
	}
	// grpc says so when no connection could be made: the call never left this process.
	unreached := code == codes.Unavailable && strings.Contains(said.Message(), "Error while dialing")
	refusal = contract.Refuse(reason, untoldDetail)
	refusal.Transport = true
	refusal.Unsent = unreached || code == codes.Unimplemented
	return refusal
}

// gaveUp is the code of a call that the transport calls cancelled: by its caller; by the server, since the time was up; or by the server, while
// its caller waits for an answer.
func gaveUp(ctx context.Context) codes.Code {
	switch err := ctx.Err(); {
	case err == nil:
		return codes.Unavailable
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	return codes.Canceled
}
