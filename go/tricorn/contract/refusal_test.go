package contract_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/internal/toy"
	tricornv1 "tricorn/v1"
)

// platform are the constants that this package writes out.
var platform = []string{
	contract.ReasonInvalidArgument, contract.ReasonMalformedRequest, contract.ReasonPageTokenInvalid, contract.ReasonUnauthenticated,
	contract.ReasonPermissionDenied, contract.ReasonNotFound, contract.ReasonMethodNotAllowed, contract.ReasonAlreadyExists,
	contract.ReasonAborted, contract.ReasonPreconditionFailed, contract.ReasonPayloadTooLarge, contract.ReasonUnsupportedMediaType,
	contract.ReasonIdempotencyKeyReused, contract.ReasonRateLimited, contract.ReasonCancelled, contract.ReasonInternal,
	contract.ReasonUnimplemented, contract.ReasonUnavailable, contract.ReasonDeadlineExceeded, contract.ReasonNotAcceptable,
}

func TestTheConstantsAreTheReasonsOfThePlatform(t *testing.T) {
	var declared []string
	for number := range tricornv1.Reason_name {
		if number != 0 {
			declared = append(declared, contract.ReasonName(tricornv1.Reason(number)))
		}
	}

	assert.ElementsMatch(t, declared, platform)
}

func TestEveryReasonHasACodeOfGRPCAndAnErrorOfHTTP(t *testing.T) {
	for _, entry := range contract.Reasons() {
		assert.NotEqual(t, codes.OK, entry.GRPC, entry.Name)
		assert.NotEqual(t, codes.Unknown, entry.GRPC, entry.Name)
		assert.GreaterOrEqual(t, entry.HTTP, 400, entry.Name)
		assert.Less(t, entry.HTTP, 600, entry.Name)
	}
	assert.Equal(t, contract.ReasonEntry{Name: "OUT_OF_TOYS", GRPC: codes.FailedPrecondition, HTTP: 409}, contract.Entry(toy.OutOfToys))
	assert.Equal(t, codes.InvalidArgument, contract.Entry(contract.ReasonNotAcceptable).GRPC)
}

func TestAnUnknownReasonIsAnInternalOne(t *testing.T) {
	assert.Equal(t, contract.ReasonInternal, contract.Entry("OUT_OF_LUCK").Name)
	assert.False(t, contract.Known("OUT_OF_LUCK"))
}

func TestARefusalSurvivesTheWire(t *testing.T) {
	for _, reason := range slices.Concat(platform, []string{toy.OutOfToys}) {
		refusal := contract.Refuse(reason, "what was wrong").With("left", "3").After(1500 * time.Millisecond)
		refusal.Violations = []contract.Violation{{Field: "lines[0].quantity", Rule: "int32.gte", Message: "must be positive"}}
		refusal.Unsent = reason == contract.ReasonUnimplemented

		said, err := proto.Marshal(refusal.GRPCStatus().Proto())
		require.NoError(t, err)
		back := refusal.GRPCStatus().Proto()
		proto.Reset(back)
		require.NoError(t, proto.Unmarshal(said, back))

		assert.Equal(t, refusal, contract.FromStatus(status.FromProto(back)), reason)
	}
}

func TestAStatusWithoutAReasonIsNoRefusal(t *testing.T) {
	assert.Nil(t, contract.FromStatus(status.New(codes.NotFound, "no such thing")))
}

func TestARequestThatBreaksRulesIsToldAllOfThem(t *testing.T) {
	err := contract.Validate(toy.Request("much too long", "", -1))

	var refusal *contract.Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, contract.ReasonInvalidArgument, refusal.Reason)
	assert.Equal(t, []contract.Violation{
		{Field: "name", Rule: "string.max_len", Message: "must be at most 8 characters"},
		{Field: "count", Rule: "int32.gte", Message: "must be greater than or equal to 0"},
	}, refusal.Violations)
	assert.Equal(t, "name: must be at most 8 characters (and 1 more)", refusal.Detail)
	assert.NoError(t, contract.Validate(toy.Request("short", "", 0)))
}
