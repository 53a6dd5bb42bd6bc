package transcode

import (
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// reader makes the value of a scalar field, or of one element of it.
type reader func(v *value) (protoreflect.Value, *Malformed)

var (
	numberText = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)
	kinds      = map[kind]string{
		null: "null", boolean: "a boolean", number: "a number", text: "a string", array: "an array", object: "an object",
	}
)

const (
	mostDigits         = 20
	mostLiteral        = 40
	mostEnumNames      = 20
	base64Group        = 4
	largestFloat32     = (2 - 1.0/(1<<24)) * (1 << 127) // from here on a float rounds to infinity
	minInt32, maxInt32 = math.MinInt32, math.MaxInt32
)

func wrong(wanted string, v *value) *Malformed {
	return NewMalformed(fmt.Sprintf("must be %s, not %s", wanted, kinds[v.kind]))
}

// isPlainInteger says whether a text is an integer of JSON's grammar with at most twenty digits.
func isPlainInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if len(digits) == 0 || len(digits) > mostDigits || (digits[0] == '0' && len(digits) > 1) {
		return false
	}
	return isDigits(digits)
}

func isDigits(s string) bool {
	for index := range len(s) {
		if s[index] < '0' || s[index] > '9' {
			return false
		}
	}
	return len(s) > 0
}

// integer is a whole number as sign and magnitude; large: it has more than 64 bits.
type integer struct {
	negative, large bool
	magnitude       uint64
}

func plain(s string) integer {
	digits := strings.TrimPrefix(s, "-")
	magnitude, err := strconv.ParseUint(digits, 10, 64)
	return integer{negative: len(digits) < len(s), large: err != nil, magnitude: magnitude}
}

func readInteger(v *value) (integer, *Malformed) {
	switch v.kind {
	case number, text:
	default:
		return integer{}, wrong("an integer", v)
	}
	s := v.text
	if isPlainInteger(s) {
		return plain(s), nil
	}
	if v.kind == number && len(s) < mostLiteral && isDigits(strings.TrimPrefix(s, "-")) {
		return integer{large: true}, nil
	}
	if !numberText.MatchString(s) {
		return integer{}, NewMalformed("must be an integer")
	}
	return exact(s)
}

// exact is the integer that a literal with a fraction or an exponent stands for.
func exact(s string) (integer, *Malformed) {
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return integer{}, nil
	}
	exponent, err := strconv.Atoi(exponentText)
	if err != nil && exponentText != "" {
		exponent = math.MaxInt32
		if exponentText[0] == '-' {
			exponent = math.MinInt32
		}
	}
	scale := exponent - len(fraction)
	adjusted := len(digits) - 1 + scale
	if adjusted >= mostDigits {
		return integer{}, NewMalformed("is out of range")
	}
	bare := strings.TrimRight(digits, "0")
	scale += len(digits) - len(bare)
	if adjusted < 0 || scale < 0 {
		return integer{}, NewMalformed("must be an integer")
	}
	made := plain(bare + strings.Repeat("0", scale))
	made.negative = mantissa[0] == '-'
	return made, nil
}

func signed(lowest, highest int64) func(v *value) (int64, *Malformed) {
	outside := NewMalformed(fmt.Sprintf("must be between %d and %d", lowest, highest))
	return func(v *value) (int64, *Malformed) {
		read, bad := readInteger(v)
		if bad != nil {
			return 0, bad
		}
		limit := uint64(highest)
		if read.negative {
			limit++
		}
		if read.large || read.magnitude > limit {
			return 0, NewMalformed(outside.Message)
		}
		if read.negative {
			return -int64(read.magnitude), nil
		}
		return int64(read.magnitude), nil
	}
}

func unsigned(highest uint64) func(v *value) (uint64, *Malformed) {
	return func(v *value) (uint64, *Malformed) {
		read, bad := readInteger(v)
		if bad != nil {
			return 0, bad
		}
		if read.large || read.magnitude > highest || (read.negative && read.magnitude > 0) {
			return 0, NewMalformed(fmt.Sprintf("must be between 0 and %d", highest))
		}
		return read.magnitude, nil
	}
}

var (
	readInt32  = signed(minInt32, maxInt32)
	readInt64  = signed(math.MinInt64, math.MaxInt64)
	readUint32 = unsigned(math.MaxUint32)
	readUint64 = unsigned(math.MaxUint64)
)

func readDouble(v *value) (float64, *Malformed) {
	switch {
	case v.kind == number || (v.kind == text && numberText.MatchString(v.text)):
		read, _ := strconv.ParseFloat(v.text, 64)
		if math.IsInf(read, 0) {
			return 0, NewMalformed("is out of range")
		}
		return read, nil
	case v.kind != text:
		return 0, wrong("a number", v)
	case v.text == "NaN":
		return math.NaN(), nil
	case v.text == "Infinity":
		return math.Inf(1), nil
	case v.text == "-Infinity":
		return math.Inf(-1), nil
	}
	return 0, NewMalformed("must be a number")
}

func readFloat(v *value) (float32, *Malformed) {
	read, bad := readDouble(v)
	if bad == nil && math.Abs(read) >= largestFloat32 && !math.IsInf(read, 0) {
		return 0, NewMalformed("is out of range")
	}
	return float32(read), bad
}

func readBool(v *value) (bool, *Malformed) {
	if v.kind != boolean {
		return false, wrong("true or false", v)
	}
	return v.truth, nil
}

func readBoolText(v *value) (bool, *Malformed) {
	if v.text != "true" && v.text != "false" {
		return false, NewMalformed("must be true or false")
	}
	return v.text == "true", nil
}

func readString(v *value) (string, *Malformed) {
	switch {
	case v.kind != text:
		return "", wrong("a string", v)
	case strings.IndexByte(v.text, 0) >= 0:
		return "", NewMalformed("must not contain U+0000")
	case !utf8.ValidString(v.text):
		return "", NewMalformed("must not contain half of a surrogate pair")
	}
	return v.text, nil
}

// readBytes takes base64, the standard or the URL-safe alphabet, with or without padding.
func readBytes(v *value) ([]byte, *Malformed) {
	if v.kind != text {
		return nil, wrong("a base64 string", v)
	}
	digits := strings.TrimRight(v.text, "=")
	padding := len(v.text) - len(digits)
	fill := (base64Group - len(digits)%base64Group) % base64Group
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(digits, "-_") {
		encoding = base64.RawURLEncoding
	}
	if fill == base64Group-1 || (padding != 0 && padding != fill) || strings.ContainsAny(digits, "\r\n") {
		return nil, NewMalformed("must be base64")
	}
	read, err := encoding.DecodeString(digits)
	if err != nil {
		return nil, NewMalformed("must be base64")
	}
	return read, nil
}

// enumReader takes a value by name, or by number; a number that it does not know is kept, as the mapping asks.
func enumReader(enum protoreflect.EnumDescriptor) reader {
	values := enum.Values()
	byName := make(map[string]protoreflect.Value, values.Len())
	names := make([]string, 0, values.Len())
	for index := range values.Len() {
		each := values.Get(index)
		byName[string(each.Name())] = protoreflect.ValueOfEnum(each.Number())
		names = append(names, string(each.Name()))
	}
	unknown := "must be one of " + strings.Join(names[:min(len(names), mostEnumNames)], ", ")
	return func(v *value) (protoreflect.Value, *Malformed) {
		switch v.kind {
		case text:
			if made, known := byName[v.text]; known {
				return made, nil
			}
			return protoreflect.Value{}, NewMalformed(unknown)
		case number:
			read, bad := readInt32(v)
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(read)), bad
		}
		return protoreflect.Value{}, wrong("the name of an enum value", v)
	}
}

// scalarReader reads one element of a scalar or enum field from a JSON value; isText: from a path, a query, the key of a map.
func scalarReader(field protoreflect.FieldDescriptor, isText bool) reader {
	switch field.Kind() {
	case protoreflect.EnumKind:
		read := enumReader(field.Enum())
		if !isText {
			return read
		}
		return func(v *value) (protoreflect.Value, *Malformed) {
			if isPlainInteger(v.text) {
				return read(&value{kind: number, text: v.text})
			}
			return read(v)
		}
	case protoreflect.BoolKind:
		if isText {
			return made(readBoolText, protoreflect.ValueOfBool)
		}
		return made(readBool, protoreflect.ValueOfBool)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return made(readInt32, func(n int64) protoreflect.Value { return protoreflect.ValueOfInt32(int32(n)) })
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return made(readInt64, protoreflect.ValueOfInt64)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return made(readUint32, func(n uint64) protoreflect.Value { return protoreflect.ValueOfUint32(uint32(n)) })
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return made(readUint64, protoreflect.ValueOfUint64)
	case protoreflect.DoubleKind:
		return made(readDouble, protoreflect.ValueOfFloat64)
	case protoreflect.FloatKind:
		return made(readFloat, protoreflect.ValueOfFloat32)
	case protoreflect.BytesKind:
		return made(readBytes, protoreflect.ValueOfBytes)
	default:
		return made(readString, protoreflect.ValueOfString)
	}
}

func made[T any](read func(*value) (T, *Malformed), of func(T) protoreflect.Value) reader {
	return func(v *value) (protoreflect.Value, *Malformed) {
		plain, bad := read(v)
		if bad != nil {
			return protoreflect.Value{}, bad
		}
		return of(plain), nil
	}
}
