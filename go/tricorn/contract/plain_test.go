package contract_test

import (
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"tricorn/contract"
)

// What is seen at once stands beside what is left to the validator: a pattern, a rule in CEL, a oneof, a map, a message within itself.
const ruled = `
name: "toy/rules/v1/rules.proto" package: "toy.rules.v1" syntax: "proto3"
dependency: "buf/validate/validate.proto" dependency: "google/protobuf/duration.proto"
message_type {
  name: "Line"
  field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL options { [buf.validate.field] { string { uuid: true } } } }
  field { name: "count" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL
    options { [buf.validate.field] { int32 { gte: 1 lte: 9 } } } }
}
message_type {
  name: "Order"
  field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL
    options { [buf.validate.field] { string { min_len: 1 max_len: 4 pattern: "^[^\\x00]*$" } } } }
  field { name: "lines" number: 2 type: TYPE_MESSAGE type_name: ".toy.rules.v1.Line" label: LABEL_REPEATED
    options { [buf.validate.field] { repeated { min_items: 1 max_items: 2 } } } }
  field { name: "hold" number: 3 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL
    options { [buf.validate.field] { required: true duration { gte { seconds: 1 } lte { seconds: 60 } } } } }
  field { name: "note" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL proto3_optional: true oneof_index: 0
    options { [buf.validate.field] { string { min_len: 2 } } } }
  field { name: "total" number: 5 type: TYPE_INT64 label: LABEL_OPTIONAL
    options { [buf.validate.field] { ignore: IGNORE_IF_ZERO_VALUE int64 { gte: 3 lte: 5 } } } }
  field { name: "ids" number: 6 type: TYPE_STRING label: LABEL_REPEATED
    options { [buf.validate.field] { repeated { max_items: 2 unique: true items { string { uuid: true } } } } } }
  field { name: "outside" number: 7 type: TYPE_INT32 label: LABEL_OPTIONAL
    options { [buf.validate.field] { int32 { gte: 7 lte: -7 } ignore: IGNORE_IF_ZERO_VALUE } } }
  field { name: "word" number: 8 type: TYPE_STRING label: LABEL_OPTIONAL proto3_optional: true oneof_index: 1
    options { [buf.validate.field] { string { pattern: "^[a-z]+$" } } } }
  field { name: "even" number: 9 type: TYPE_INT32 label: LABEL_OPTIONAL proto3_optional: true oneof_index: 2
    options { [buf.validate.field] { cel { id: "even" message: "is odd" expression: "this % 2 == 0" } } } }
  field { name: "within" number: 10 type: TYPE_MESSAGE type_name: ".toy.rules.v1.Order" label: LABEL_OPTIONAL }
  field { name: "first" number: 11 type: TYPE_MESSAGE type_name: ".toy.rules.v1.Line" label: LABEL_OPTIONAL
    options { [buf.validate.field] { ignore: IGNORE_ALWAYS } } }
  oneof_decl { name: "_note" } oneof_decl { name: "_word" } oneof_decl { name: "_even" }
}
message_type {
  name: "Choice"
  field { name: "one" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "two" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
  oneof_decl { name: "either" options { [buf.validate.oneof] { required: true } } }
}
`

func rules(t *testing.T) protoreflect.MessageDescriptors {
	t.Helper()
	described := &descriptorpb.FileDescriptorProto{}
	require.NoError(t, prototext.Unmarshal([]byte(ruled), described))
	made, err := protodesc.NewFile(described, protoregistry.GlobalFiles)
	require.NoError(t, err)
	return made.Messages()
}

// said is a value for each field that a test sets.
type said map[protoreflect.Name]any

func fill(of protoreflect.MessageDescriptor, values said) *dynamicpb.Message {
	made := dynamicpb.NewMessage(of)
	for name, value := range values {
		field := of.Fields().ByName(name)
		switch it := value.(type) {
		case []said:
			list := made.Mutable(field).List()
			for _, each := range it {
				list.Append(protoreflect.ValueOfMessage(fill(field.Message(), each)))
			}
		case []string:
			list := made.Mutable(field).List()
			for _, each := range it {
				list.Append(protoreflect.ValueOfString(each))
			}
		case said:
			made.Set(field, protoreflect.ValueOfMessage(fill(field.Message(), it)))
		default:
			made.Set(field, protoreflect.ValueOf(it))
		}
	}
	return made
}

func TestWhatIsSeenAtOnceIsWhatTheValidatorSays(t *testing.T) {
	order := rules(t).ByName("Order")
	validator, err := protovalidate.New()
	require.NoError(t, err)
	id := rapid.SampledFrom([]string{
		"20000000-0000-4000-8000-00000000000a", "20000000-0000-4000-8000-00000000000A", "20000000-0000-4000-8000-00000000000g",
		"20000000-0000-4000-8000-0000000000001", "200000000-000-4000-8000-00000000000a", "20000000-0000-4000-8000-00000000000\n", "",
	})
	maybe := func(t *rapid.T, values said, name protoreflect.Name, value any) {
		if rapid.Bool().Draw(t, string(name)) {
			values[name] = value
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		values := said{"key": rapid.SampledFrom([]string{"", "k", "éééé", "ééééé", "\xff", "k\x00"}).Draw(t, "key text")}
		lines := []said{}
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			lines = append(lines, said{"id": id.Draw(t, "id"), "count": rapid.Int32Range(0, 10).Draw(t, "count")})
		}
		hold := said{
			"seconds": rapid.SampledFrom([]int64{-1, 0, 1, 60, 1 << 60}).Draw(t, "seconds"),
			"nanos":   rapid.SampledFrom([]int32{-1, 0, 1, 2_000_000_000}).Draw(t, "nanos"),
		}
		maybe(t, values, "lines", lines)
		maybe(t, values, "hold", hold)
		maybe(t, values, "note", rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "note text"))
		maybe(t, values, "total", rapid.Int64Range(0, 6).Draw(t, "total number"))
		maybe(t, values, "ids", rapid.SliceOfN(id, 0, 3).Draw(t, "ids texts"))
		maybe(t, values, "outside", rapid.SampledFrom([]int32{-8, 0, 8}).Draw(t, "outside number"))
		maybe(t, values, "word", rapid.SampledFrom([]string{"ab", "AB"}).Draw(t, "word text"))
		maybe(t, values, "even", rapid.Int32Range(0, 3).Draw(t, "even number"))
		maybe(t, values, "within", said{"key": "k"})
		maybe(t, values, "first", said{"count": int32(0)})
		message := fill(order, values)

		require.Equal(t, validator.Validate(message) == nil, contract.Validate(message) == nil, "%v", message)
	})
}

func TestAUUIDIsSeenAtOnceAsTheValidatorSeesIt(t *testing.T) {
	line := rules(t).ByName("Line")
	validator, err := protovalidate.New()
	require.NoError(t, err)
	const valid = "20000000-0000-4000-8000-00000000000a"
	for at := range len(valid) {
		for _, sign := range []string{"", "0", "9", "a", "f", "A", "F", "g", "G", "@", "`", "/", ":", "-", "\n", "é"} {
			message := fill(line, said{"id": valid[:at] + sign + valid[at+1:], "count": int32(1)})

			require.Equal(t, validator.Validate(message) == nil, contract.Validate(message) == nil, "%v", message)
		}
	}
}

func TestRulesThatOnlyTheValidatorKnowsAreLeftToIt(t *testing.T) {
	choice := rules(t).ByName("Choice")

	require.Error(t, contract.Validate(fill(choice, said{})))
	require.NoError(t, contract.Validate(fill(choice, said{"two": "2"})))
}

func TestADurationIsSeenAtOnceWhateverItsLimitsAre(t *testing.T) {
	validator, err := protovalidate.New()
	require.NoError(t, err)
	for _, hold := range []*durationpb.Duration{
		nil, durationpb.New(time.Second), durationpb.New(time.Second - 1), durationpb.New(24 * time.Hour), {Seconds: 86400, Nanos: 1},
		{Seconds: 5, Nanos: -1}, {Seconds: 1 << 62},
	} {
		message := ordered(t, hold)

		require.Equal(t, validator.Validate(message) == nil, contract.Validate(message) == nil, hold)
	}
}

func ordered(t *testing.T, hold *durationpb.Duration) proto.Message {
	t.Helper()
	order := rules(t).ByName("Order")
	made := fill(order, said{"key": "k", "lines": []said{{"id": "20000000-0000-4000-8000-00000000000a", "count": int32(1)}}})
	if hold != nil {
		made.Set(order.Fields().ByName("hold"), protoreflect.ValueOfMessage(hold.ProtoReflect()))
	}
	return made
}
