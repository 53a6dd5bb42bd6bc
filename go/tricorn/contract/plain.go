package contract

import (
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// check tells whether a value surely keeps the rules; false means that nobody has looked closely enough.
type check func(protoreflect.Value) bool

// withoutNUL is how contracts say that a text holds no U+0000, which PostgreSQL does not keep.
const withoutNUL = `^[^\x00]*$`

func unsure(protoreflect.Value) bool { return false }

// plain is what can be said of a message without the validator, whose regular expression for a UUID costs more than all the rest of a small
// call. It knows the commonest rules, and only ever says that a message is valid: whatever is wrong or unknown is the validator's.
type plain struct {
	unsure bool
	fields []plainField
}

type plainField struct {
	descriptor protoreflect.FieldDescriptor
	required   bool
	// Rules hold only for a value that is there.
	optional bool
	holds    check
}

var plains sync.Map // protoreflect.MessageDescriptor -> *plain

// isPlainlyValid tells that a message keeps its contract's rules; false means that the validator must be asked.
func isPlainlyValid(message protoreflect.Message) bool {
	descriptor := message.Descriptor()
	found, known := plains.Load(descriptor)
	if !known {
		found, _ = plains.LoadOrStore(descriptor, plainOf(descriptor, nil))
	}
	return found.(*plain).holds(message)
}

func (p *plain) holds(message protoreflect.Message) bool {
	if p.unsure {
		return false
	}
	for _, field := range p.fields {
		if (field.required || field.optional) && !message.Has(field.descriptor) {
			if field.required {
				return false
			}
			continue
		}
		if field.holds != nil && !field.holds(message.Get(field.descriptor)) {
			return false
		}
	}
	return true
}

// plainOf reads the rules of a message; above are the messages that it is part of.
func plainOf(descriptor protoreflect.MessageDescriptor, above []protoreflect.FullName) *plain {
	for _, name := range above {
		if name == descriptor.FullName() {
			return &plain{unsure: true}
		}
	}
	rules, err := protovalidate.ResolveMessageRules(descriptor)
	if err != nil || proto.Size(rules) > 0 {
		return &plain{unsure: true}
	}
	for i := range descriptor.Oneofs().Len() {
		rules, err := protovalidate.ResolveOneofRules(descriptor.Oneofs().Get(i))
		if err != nil || proto.Size(rules) > 0 {
			return &plain{unsure: true}
		}
	}
	made := &plain{}
	for i := range descriptor.Fields().Len() {
		field := descriptor.Fields().Get(i)
		rules, err := protovalidate.ResolveFieldRules(field)
		if err != nil {
			return &plain{unsure: true}
		}
		if rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
			continue
		}
		holds := fieldHolds(field, rules, append(above, descriptor.FullName()))
		if holds != nil || rules.GetRequired() {
			made.fields = append(made.fields, plainField{
				descriptor: field, required: rules.GetRequired(), holds: holds,
				optional: field.HasPresence() || rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE,
			})
		}
	}
	return made
}

func fieldHolds(field protoreflect.FieldDescriptor, rules *validate.FieldRules, above []protoreflect.FullName) check {
	switch {
	case field.IsMap():
		if proto.Size(rules) > 0 || field.MapValue().Message() != nil {
			return unsure
		}
		return nil
	case field.IsList():
		if !only(rules, "required", "ignore", "repeated") {
			return unsure
		}
		return listHolds(field, rules.GetRepeated(), above)
	default:
		return valueHolds(field, rules, above)
	}
}

func listHolds(field protoreflect.FieldDescriptor, rules *validate.RepeatedRules, above []protoreflect.FullName) check {
	if !only(rules, "min_items", "max_items", "unique", "items") {
		return unsure
	}
	item := valueHolds(field, rules.GetItems(), above)
	if rules.GetItems().HasIgnore() || rules.GetItems().GetRequired() {
		item = unsure
	}
	if rules == nil && item == nil {
		return nil
	}
	least, most := rules.GetMinItems(), uint64(math.MaxUint64)
	if rules.HasMaxItems() {
		most = rules.GetMaxItems()
	}
	return func(value protoreflect.Value) bool {
		list := value.List()
		count := list.Len()
		if uint64(count) < least || uint64(count) > most || rules.GetUnique() && count > 1 {
			return false
		}
		for i := 0; item != nil && i < count; i++ {
			if !item(list.Get(i)) {
				return false
			}
		}
		return true
	}
}

func valueHolds(field protoreflect.FieldDescriptor, rules *validate.FieldRules, above []protoreflect.FullName) check {
	kind := field.Kind()
	switch {
	case kind == protoreflect.GroupKind:
		return unsure
	case kind == protoreflect.MessageKind && only(rules, "required", "ignore"):
		nested := plainOf(field.Message(), above)
		if !nested.unsure && len(nested.fields) == 0 {
			return nil
		}
		return func(value protoreflect.Value) bool { return nested.holds(value.Message()) }
	case only(rules, "required", "ignore"):
		return nil
	case kind == protoreflect.StringKind && only(rules, "required", "ignore", "string"):
		return stringHolds(rules.GetString())
	case kind == protoreflect.Int32Kind && only(rules, "required", "ignore", "int32"):
		if limits := rules.GetInt32(); only(limits, "gte", "lte") && limits.HasGte() && limits.HasLte() {
			return within(int64(limits.GetGte()), int64(limits.GetLte()))
		}
	case kind == protoreflect.Int64Kind && only(rules, "required", "ignore", "int64"):
		if limits := rules.GetInt64(); only(limits, "gte", "lte") && limits.HasGte() && limits.HasLte() {
			return within(limits.GetGte(), limits.GetLte())
		}
	case kind == protoreflect.MessageKind && only(rules, "required", "ignore", "duration"):
		if limits := rules.GetDuration(); only(limits, "gte", "lte") && limits.HasGte() && limits.HasLte() {
			return durationHolds(limits.GetGte(), limits.GetLte())
		}
	}
	return unsure
}

func stringHolds(rules *validate.StringRules) check {
	if !only(rules, "min_len", "max_len", "uuid", "pattern") || rules.HasPattern() && rules.GetPattern() != withoutNUL {
		return unsure
	}
	least, most, uuid, noNUL := rules.GetMinLen(), uint64(math.MaxUint64), rules.GetUuid(), rules.HasPattern()
	if rules.HasMaxLen() {
		most = rules.GetMaxLen()
	}
	return func(value protoreflect.Value) bool {
		text := value.String()
		signs := uint64(utf8.RuneCountInString(text))
		return signs >= least && signs <= most && (!uuid || isUUID(text)) && (!noNUL || strings.IndexByte(text, 0) < 0)
	}
}

// within is unsure of limits that are the wrong way round, which mean what lies outside.
func within(least, most int64) check {
	return func(value protoreflect.Value) bool { return least <= value.Int() && value.Int() <= most }
}

func durationHolds(least, most *durationpb.Duration) check {
	if !least.IsValid() || !most.IsValid() {
		return unsure
	}
	return func(value protoreflect.Value) bool {
		said, ok := value.Message().Interface().(*durationpb.Duration)
		if !ok || !said.IsValid() || said.GetSeconds() < 0 || said.GetSeconds() > int64(math.MaxInt64/time.Second)-1 {
			return false
		}
		return least.AsDuration() <= said.AsDuration() && said.AsDuration() <= most.AsDuration()
	}
}

// isUUID tells whether a text is 32 hexadecimal digits, in either case, with the usual dashes.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for at := range len(text) {
		sign := text[at]
		switch at {
		case 8, 13, 18, 23:
			if sign != '-' {
				return false
			}
		default:
			if lower := sign | 0x20; (sign < '0' || sign > '9') && (lower < 'a' || lower > 'f') {
				return false
			}
		}
	}
	return true
}

// only tells whether rules say nothing but these, and nothing that this program does not know.
func only(rules proto.Message, names ...protoreflect.Name) bool {
	said := rules.ProtoReflect()
	known := len(said.GetUnknown()) == 0
	said.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		found := false
		for _, name := range names {
			found = found || field.Name() == name && !field.IsExtension()
		}
		known = known && found
		return known
	})
	return known
}
