package wire

import (
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
)

// splitCall is the split key of methods whose calls have nothing to do with each other.
const splitCall = "CALL"

// WhyWhole says why a method can only be bound as a whole; empty when it may be split. Shared: both implementations keep its rows, idempotency keys
// included, in the same tables.
func WhyWhole(policy *contract.Policy, shared bool) string {
	switch {
	case policy.SplitKey == "":
		return "its contract names no split key"
	case policy.SplitKey == splitCall && policy.Safe:
		return ""
	case policy.SplitKey == splitCall:
		return "it has effects, so the calls of one entity must not be divided"
	case policy.ClientStreaming:
		return "its requests come as a stream"
	case !hasKey(policy):
		return "its split key '" + policy.SplitKey + "' is no single string, number or bytes of its request"
	case !policy.Safe && !shared:
		return "it has effects, and the implementations share no rows"
	case !policy.Idempotent && policy.IdempotencyKeyField == "":
		return "it has effects, and neither a key nor its contract says that twice is once"
	default:
		return ""
	}
}

// chooser decides for each call of a method whether the native implementation gets it. Whatever must not be split stays with Python until
// all of it is bound. A nil request stands for a stream of them.
func chooser(policy *contract.Policy, binding Binding) func(proto.Message) bool {
	share := binding.Share
	switch {
	case share >= All:
		return func(proto.Message) bool { return true }
	case share <= 0 || WhyWhole(policy, binding.Shared) != "":
		return func(proto.Message) bool { return false }
	case policy.SplitKey == splitCall:
		return func(proto.Message) bool { return rand.IntN(All) < share }
	default:
		return func(request proto.Message) bool {
			return request != nil && Bucket(binding.Target, KeyOf(policy, request)) < share
		}
	}
}

// KeyOf gives the text that decides for a request: a string as it is, bytes as lower-case hexadecimal, an integer or an enum in decimal
// digits, true or false.
func KeyOf(policy *contract.Policy, request proto.Message) string {
	message := request.ProtoReflect()
	path := strings.Split(policy.SplitKey, ".")
	for _, name := range path[:len(path)-1] {
		message = message.Get(message.Descriptor().Fields().ByName(protoreflect.Name(name))).Message()
	}
	field := message.Descriptor().Fields().ByName(protoreflect.Name(path[len(path)-1]))
	value := message.Get(field)
	switch field.Kind() {
	case protoreflect.BytesKind:
		return hex.EncodeToString(value.Bytes())
	case protoreflect.EnumKind:
		return strconv.Itoa(int(value.Enum()))
	default:
		return value.String()
	}
}

func hasKey(policy *contract.Policy) bool {
	message := policy.Descriptor.Input()
	var field protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(policy.SplitKey, ".") {
		if message == nil {
			return false
		}
		field = message.Fields().ByName(protoreflect.Name(name))
		if field == nil || field.Cardinality() == protoreflect.Repeated {
			return false
		}
		message = field.Message()
	}
	switch field.Kind() {
	case protoreflect.FloatKind, protoreflect.DoubleKind, protoreflect.MessageKind, protoreflect.GroupKind:
		return false
	default:
		return true
	}
}
