package transcode

import (
	"encoding/base64"
	"fmt"
	"math"
	"sort"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// AppendJSON adds the message's JSON as the protobuf mapping has it: defaults printed, absent optionals not, long integers as texts;
// without white space. It fails for what has no JSON form: an unknown type in an Any, NaN in a Value.
func AppendJSON(to []byte, message protoreflect.Message) ([]byte, error) {
	if write, known := wellKnownWriters[message.Descriptor().FullName()]; known {
		return write(to, message)
	}
	to = append(to, '{')
	return appendFields(to, message, true)
}

func appendFields(to []byte, message protoreflect.Message, first bool) ([]byte, error) {
	fields := message.Descriptor().Fields()
	var err error
	for index := range fields.Len() {
		field := fields.Get(index)
		if field.HasPresence() && !message.Has(field) {
			continue
		}
		if !first {
			to = append(to, ',')
		}
		first = false
		to = append(appendText(to, field.JSONName()), ':')
		if to, err = appendField(to, field, message.Get(field)); err != nil {
			return nil, fmt.Errorf("%s: %w", field.Name(), err)
		}
	}
	return append(to, '}'), nil
}

func appendField(to []byte, field protoreflect.FieldDescriptor, v protoreflect.Value) ([]byte, error) {
	switch {
	case field.IsMap():
		return appendMap(to, field, v.Map())
	case field.IsList():
		to = append(to, '[')
		list := v.List()
		var err error
		for index := range list.Len() {
			if index > 0 {
				to = append(to, ',')
			}
			if to, err = appendElement(to, field, list.Get(index)); err != nil {
				return nil, err
			}
		}
		return append(to, ']'), nil
	}
	return appendElement(to, field, v)
}

func appendMap(to []byte, field protoreflect.FieldDescriptor, entries protoreflect.Map) ([]byte, error) {
	keys := make([]protoreflect.MapKey, 0, entries.Len())
	entries.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, key)
		return true
	})
	sort.Slice(keys, func(a, b int) bool { return keys[a].String() < keys[b].String() })
	to = append(to, '{')
	var err error
	for index, key := range keys {
		if index > 0 {
			to = append(to, ',')
		}
		to = append(appendText(to, key.String()), ':')
		if to, err = appendElement(to, field.MapValue(), entries.Get(key)); err != nil {
			return nil, err
		}
	}
	return append(to, '}'), nil
}

func appendElement(to []byte, field protoreflect.FieldDescriptor, v protoreflect.Value) ([]byte, error) {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return AppendJSON(to, v.Message())
	case protoreflect.EnumKind:
		return appendEnum(to, field.Enum(), v.Enum()), nil
	case protoreflect.BoolKind:
		return strconv.AppendBool(to, v.Bool()), nil
	case protoreflect.StringKind:
		return appendText(to, v.String()), nil
	case protoreflect.BytesKind:
		return append(base64.StdEncoding.AppendEncode(append(to, '"'), v.Bytes()), '"'), nil
	case protoreflect.FloatKind:
		return appendFloat(to, v.Float(), 32), nil
	case protoreflect.DoubleKind:
		return appendFloat(to, v.Float(), 64), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(to, v.Int(), 10), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(to, v.Uint(), 10), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return append(strconv.AppendInt(append(to, '"'), v.Int(), 10), '"'), nil
	default:
		return append(strconv.AppendUint(append(to, '"'), v.Uint(), 10), '"'), nil
	}
}

func appendEnum(to []byte, enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) []byte {
	if enum.FullName() == nullName {
		return append(to, "null"...)
	}
	if known := enum.Values().ByNumber(number); known != nil {
		return appendText(to, string(known.Name()))
	}
	return strconv.AppendInt(to, int64(number), 10)
}

func appendFloat(to []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(to, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(to, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(to, `"-Infinity"`...)
	}
	format := byte('f')
	if size := math.Abs(v); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(to, v, format, -1, bits)
}

func appendText(to []byte, s string) []byte {
	to = append(to, '"')
	start := 0
	for at := 0; at < len(s); {
		c := s[at]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			at++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[at:])
			if r == utf8.RuneError && size == 1 {
				to = append(append(to, s[start:at]...), `\ufffd`...)
				start = at + 1
			}
			at += size
			continue
		}
		to = append(to, s[start:at]...)
		switch c {
		case '"', '\\':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, '\\', 'n')
		case '\r':
			to = append(to, '\\', 'r')
		case '\t':
			to = append(to, '\\', 't')
		default:
			to = fmt.Appendf(to, `\u%04x`, c)
		}
		at++
		start = at
	}
	return append(append(to, s[start:]...), '"')
}

type messageWriter func(to []byte, message protoreflect.Message) ([]byte, error)

var wellKnownWriters map[protoreflect.FullName]messageWriter

func init() { // the table's writers use the table
	wellKnownWriters = map[protoreflect.FullName]messageWriter{
		"google.protobuf.Timestamp": writeTimestamp,
		"google.protobuf.Duration":  writeDuration,
		"google.protobuf.FieldMask": writeMask,
		"google.protobuf.Struct":    writeOnlyField,
		"google.protobuf.ListValue": writeOnlyField,
		"google.protobuf.Value":     writeAnyValue,
		anyName:                     writeAny,
	}
	for name := range wrappers {
		wellKnownWriters[name] = writeOnlyField
	}
}

// writeOnlyField is for types that look like the one field they have.
func writeOnlyField(to []byte, message protoreflect.Message) ([]byte, error) {
	field := message.Descriptor().Fields().ByNumber(1)
	return appendField(to, field, message.Get(field))
}

func span(message protoreflect.Message) (int64, int64) {
	fields := message.Descriptor().Fields()
	return message.Get(fields.ByNumber(1)).Int(), message.Get(fields.ByNumber(2)).Int()
}

func appendFraction(to []byte, nanos int64) []byte {
	switch {
	case nanos == 0:
		return to
	case nanos%1_000_000 == 0:
		return fmt.Appendf(to, ".%03d", nanos/1_000_000)
	case nanos%1_000 == 0:
		return fmt.Appendf(to, ".%06d", nanos/1_000)
	}
	return fmt.Appendf(to, ".%09d", nanos)
}

func writeTimestamp(to []byte, message protoreflect.Message) ([]byte, error) {
	seconds, nanos := span(message)
	if seconds < firstSecond || seconds > lastSecond || nanos < 0 || nanos >= 1e9 {
		return nil, fmt.Errorf("a timestamp of %d s and %d ns has no form", seconds, nanos)
	}
	to = time.Unix(seconds, 0).UTC().AppendFormat(append(to, '"'), "2006-01-02T15:04:05")
	return append(appendFraction(to, nanos), 'Z', '"'), nil
}

func writeDuration(to []byte, message protoreflect.Message) ([]byte, error) {
	seconds, nanos := span(message)
	to = append(to, '"')
	if seconds < 0 || nanos < 0 {
		to, seconds, nanos = append(to, '-'), -seconds, -nanos
	}
	return append(appendFraction(strconv.AppendInt(to, seconds, 10), nanos), 's', '"'), nil
}

func writeMask(to []byte, message protoreflect.Message) ([]byte, error) {
	paths := message.Get(message.Descriptor().Fields().ByNumber(1)).List()
	joined := ""
	for index := range paths.Len() {
		if index > 0 {
			joined += ","
		}
		joined += camel(paths.Get(index).String())
	}
	return appendText(to, joined), nil
}

func writeAnyValue(to []byte, message protoreflect.Message) ([]byte, error) {
	field := message.WhichOneof(message.Descriptor().Oneofs().Get(0))
	if field == nil {
		return append(to, "null"...), nil
	}
	if v := message.Get(field); field.Kind() == protoreflect.DoubleKind && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		return nil, fmt.Errorf("google.protobuf.Value holds no NaN and no infinity")
	}
	return appendField(to, field, message.Get(field))
}

func writeAny(to []byte, message protoreflect.Message) ([]byte, error) {
	fields := message.Descriptor().Fields()
	url := message.Get(fields.ByNumber(1)).String()
	if url == "" {
		return append(to, "{}"...), nil
	}
	found, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return nil, fmt.Errorf("write an Any of %s: %w", url, err)
	}
	inner := found.New()
	if err := proto.Unmarshal(message.Get(fields.ByNumber(2)).Bytes(), inner.Interface()); err != nil {
		return nil, fmt.Errorf("write an Any of %s: %w", url, err)
	}
	to = appendText(append(to, `{"@type":`...), url)
	if write, known := wellKnownWriters[inner.Descriptor().FullName()]; known {
		if to, err = write(append(to, `,"value":`...), inner); err != nil {
			return nil, err
		}
		return append(to, '}'), nil
	}
	return appendFields(to, inner, false)
}
