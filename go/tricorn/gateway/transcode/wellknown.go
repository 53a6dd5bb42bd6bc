package transcode

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// filler reads a JSON value into a message.
type filler func(v *value, into protoreflect.Message) *Malformed

var (
	timestampText = regexp.MustCompile(
		`^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$`)
	durationText = regexp.MustCompile(`^(-?)(0|[1-9][0-9]*)(?:\.([0-9]{1,9}))?s$`)
	maskPathText = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*(?:\.[a-z][a-zA-Z0-9]*)*$`)
)

const (
	longestDuration = 315_576_000_000
	// The first and the last second that a timestamp may have: years 1 to 9999.
	firstSecond, lastSecond = -62_135_596_800, 253_402_300_799
)

// readTimestamp takes RFC 3339 with an offset, years 0001 to 9999, up to nine digits of a second.
func readTimestamp(v *value, into protoreflect.Message) *Malformed {
	if v.kind != text {
		return wrong("a timestamp such as 2026-01-31T12:00:00Z", v)
	}
	found := timestampText.FindStringSubmatch(v.text)
	if found == nil {
		return NewMalformed("must be a timestamp such as 2026-01-31T12:00:00Z")
	}
	var parts [6]int
	for index := range parts {
		parts[index], _ = strconv.Atoi(found[index+1]) // they are digits
	}
	year, month, day := parts[0], time.Month(parts[1]), parts[2]
	moment := time.Date(year, month, day, parts[3], parts[4], parts[5], 0, time.UTC)
	if year == 0 || moment.Month() != month || moment.Day() != day || parts[3] > 23 || parts[4] > 59 || parts[5] > 59 {
		return NewMalformed("must be a moment between the years 1 and 9999")
	}
	seconds := moment.Unix()
	if found[8] != "" {
		hours, _ := strconv.Atoi(found[9])
		minutes, _ := strconv.Atoi(found[10])
		if hours > 23 || minutes > 59 {
			return NewMalformed("must have an offset of less than a day")
		}
		offset := int64(hours*3600 + minutes*60)
		if found[8] == "+" {
			offset = -offset
		}
		seconds += offset
	}
	if seconds < firstSecond || seconds > lastSecond {
		return NewMalformed("must be a moment between the years 1 and 9999")
	}
	setSpan(into, seconds, nanos(found[7]))
	return nil
}

// readDuration takes seconds with up to nine digits and an s: 1.5s.
func readDuration(v *value, into protoreflect.Message) *Malformed {
	if v.kind != text {
		return wrong("a duration such as 1.5s", v)
	}
	found := durationText.FindStringSubmatch(v.text)
	if found == nil {
		return NewMalformed("must be a duration such as 1.5s")
	}
	seconds, _ := strconv.ParseInt(found[2][:min(len(found[2]), 13)], 10, 64)
	fraction := nanos(found[3])
	if seconds > longestDuration || (seconds == longestDuration && fraction > 0) {
		return NewMalformed(fmt.Sprintf("must be at most %d seconds", int64(longestDuration)))
	}
	if found[1] != "" {
		seconds, fraction = -seconds, -fraction
	}
	setSpan(into, seconds, fraction)
	return nil
}

func nanos(fraction string) int32 {
	if fraction == "" {
		return 0
	}
	read, _ := strconv.Atoi((fraction + "000000000")[:9])
	return int32(read)
}

func setSpan(into protoreflect.Message, seconds int64, nanos int32) {
	fields := into.Descriptor().Fields()
	into.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(seconds))
	into.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(nanos))
}

// readMask takes paths in lowerCamelCase, separated by commas.
func readMask(v *value, into protoreflect.Message) *Malformed {
	if v.kind != text {
		return wrong("field names separated by commas", v)
	}
	paths := into.Mutable(into.Descriptor().Fields().ByNumber(1)).List()
	if v.text == "" {
		return nil
	}
	for path := range strings.SplitSeq(v.text, ",") {
		if !maskPathText.MatchString(path) {
			return NewMalformed("must be field names in lowerCamelCase, separated by commas")
		}
		paths.Append(protoreflect.ValueOfString(snake(path)))
	}
	return nil
}

func snake(path string) string {
	var made strings.Builder
	for _, c := range []byte(path) {
		if c >= 'A' && c <= 'Z' {
			made.WriteByte('_')
			c += 'a' - 'A'
		}
		made.WriteByte(c)
	}
	return made.String()
}

func readStruct(v *value, into protoreflect.Message) *Malformed {
	if bad := mustBeObject(v); bad != nil {
		return bad
	}
	fields := into.Mutable(into.Descriptor().Fields().ByNumber(1)).Map()
	for index, key := range v.keys {
		name, bad := readString(&value{kind: text, text: key})
		if bad != nil {
			return bad.within(key)
		}
		item := fields.NewValue()
		if bad := readAnyValue(&v.items[index], item.Message()); bad != nil {
			return bad.within(key)
		}
		fields.Set(protoreflect.ValueOfString(name).MapKey(), item)
	}
	return nil
}

func readListValue(v *value, into protoreflect.Message) *Malformed {
	if v.kind != array {
		return wrong("an array", v)
	}
	values := into.Mutable(into.Descriptor().Fields().ByNumber(1)).List()
	for index := range v.items {
		item := values.NewElement()
		if bad := readAnyValue(&v.items[index], item.Message()); bad != nil {
			return bad.within(fmt.Sprintf("[%d]", index))
		}
		values.Append(item)
	}
	return nil
}

// readAnyValue reads google.protobuf.Value, whose fields are null_value, number_value, string_value, bool_value, struct_value and
// list_value, in this order.
func readAnyValue(v *value, into protoreflect.Message) *Malformed {
	field := into.Descriptor().Fields().ByNumber
	switch v.kind {
	case null:
		into.Set(field(1), protoreflect.ValueOfEnum(structpb.NullValue_NULL_VALUE.Number()))
	case boolean:
		into.Set(field(4), protoreflect.ValueOfBool(v.truth))
	case text:
		read, bad := readString(v)
		if bad != nil {
			return bad
		}
		into.Set(field(3), protoreflect.ValueOfString(read))
	case array:
		return readListValue(v, into.Mutable(field(6)).Message())
	case object:
		return readStruct(v, into.Mutable(field(5)).Message())
	default:
		read, bad := readDouble(v)
		if bad != nil {
			return bad
		}
		into.Set(field(2), protoreflect.ValueOfFloat64(read))
	}
	return nil
}

func mustBeObject(v *value) *Malformed {
	if v.kind != object {
		return wrong("an object", v)
	}
	if v.twice > 0 {
		return NewMalformed("stands twice in one object", v.keys[v.twice-1])
	}
	return nil
}

var wrappers = map[protoreflect.FullName]bool{
	"google.protobuf.DoubleValue": true, "google.protobuf.FloatValue": true, "google.protobuf.Int64Value": true,
	"google.protobuf.UInt64Value": true, "google.protobuf.Int32Value": true, "google.protobuf.UInt32Value": true,
	"google.protobuf.BoolValue": true, "google.protobuf.StringValue": true, "google.protobuf.BytesValue": true,
}

// spoken are the well-known types that have one text as their JSON form, so that a query parameter can carry them.
var spoken = map[protoreflect.FullName]filler{
	"google.protobuf.Timestamp": readTimestamp,
	"google.protobuf.Duration":  readDuration,
	"google.protobuf.FieldMask": readMask,
}

// composed are those that take any JSON value. Any is read beside the other messages.
var composed = map[protoreflect.FullName]filler{
	"google.protobuf.Struct":    readStruct,
	"google.protobuf.ListValue": readListValue,
	"google.protobuf.Value":     readAnyValue,
}

// wellKnown reads a type with a JSON form of its own; nil for all others.
func wellKnown(message protoreflect.MessageDescriptor, isText bool) filler {
	name := message.FullName()
	if wrappers[name] {
		field := message.Fields().ByNumber(1)
		read := scalarReader(field, isText)
		return func(v *value, into protoreflect.Message) *Malformed {
			read, bad := read(v)
			if bad == nil {
				into.Set(into.Descriptor().Fields().ByNumber(1), read)
			}
			return bad
		}
	}
	if read := spoken[name]; read != nil {
		return read
	}
	if isText {
		return nil
	}
	return composed[name]
}
