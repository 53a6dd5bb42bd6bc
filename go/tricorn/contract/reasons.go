package contract

import (
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	tricornv1 "tricorn/v1"
)

// The platform's reasons; what each means is said in tricorn/v1/reason.proto.
const (
	ReasonInvalidArgument      = "INVALID_ARGUMENT"
	ReasonMalformedRequest     = "MALFORMED_REQUEST"
	ReasonPageTokenInvalid     = "PAGE_TOKEN_INVALID"
	ReasonUnauthenticated      = "UNAUTHENTICATED"
	ReasonPermissionDenied     = "PERMISSION_DENIED"
	ReasonNotFound             = "NOT_FOUND"
	ReasonMethodNotAllowed     = "METHOD_NOT_ALLOWED"
	ReasonAlreadyExists        = "ALREADY_EXISTS"
	ReasonAborted              = "ABORTED"
	ReasonPreconditionFailed   = "PRECONDITION_FAILED"
	ReasonPayloadTooLarge      = "PAYLOAD_TOO_LARGE"
	ReasonUnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"
	ReasonIdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED"
	ReasonRateLimited          = "RATE_LIMITED"
	ReasonCancelled            = "CANCELLED"
	ReasonInternal             = "INTERNAL"
	ReasonUnimplemented        = "UNIMPLEMENTED"
	ReasonUnavailable          = "UNAVAILABLE"
	ReasonDeadlineExceeded     = "DEADLINE_EXCEEDED"
	ReasonNotAcceptable        = "NOT_ACCEPTABLE"
)

// ReasonEntry is how a reason looks on each transport.
type ReasonEntry struct {
	Name string
	GRPC codes.Code
	HTTP int
}

// Reasons gives the vocabulary: every reason of the platform and of the generated packages that are linked in.
var Reasons = sync.OnceValue(readReasons)

// Entry gives the entry of a reason. An unknown name is treated as INTERNAL, so that it never reaches a caller.
func Entry(reason string) ReasonEntry {
	if entry, ok := Reasons()[reason]; ok {
		return entry
	}
	return Reasons()[ReasonInternal]
}

// Known tells whether a reason is of the vocabulary.
func Known(reason string) bool {
	_, ok := Reasons()[reason]
	return ok
}

func readReasons() map[string]ReasonEntry {
	found := map[string]ReasonEntry{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Enums().Len() {
			readEnum(file.Enums().Get(i), found)
		}
		return true
	})
	return found
}

func readEnum(enum protoreflect.EnumDescriptor, found map[string]ReasonEntry) {
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		options, ok := value.Options().(*descriptorpb.EnumValueOptions)
		if !ok || options == nil || !proto.HasExtension(options, tricornv1.E_Reason) {
			continue
		}
		said, _ := proto.GetExtension(options, tricornv1.E_Reason).(*tricornv1.ReasonPolicy)
		name := strings.TrimPrefix(string(value.Name()), "REASON_")
		found[name] = ReasonEntry{Name: name, GRPC: code(said.GetGrpc()), HTTP: int(said.GetHttp())}
	}
}

func code(name string) codes.Code {
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(`"` + name + `"`)); err != nil {
		return codes.Internal
	}
	return code
}
