package transcode_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tricorn/gateway/library"
	"tricorn/gateway/transcode"
)

// everything reads a body into the message that has one field of everything.
func everything(t *testing.T, body string) (proto.Message, *transcode.Malformed) {
	t.Helper()
	message := library.Message(t, "Everything")
	return message, transcode.ReadJSON([]byte(body), message.ProtoReflect())
}

func TestWhatTheMappingAllowsIsRead(t *testing.T) {
	for body, field := range map[string]string{
		`{"int32Value": 5}`:                      `int32_value:5`,
		`{"int32_value": "5"}`:                   `int32_value:5`,
		`{"int32Value": 1e2}`:                    `int32_value:100`,
		`{"int32Value": "1.0"}`:                  `int32_value:1`,
		`{"int32Value": -0}`:                     ``,
		`{"int64Value": "-9223372036854775808"}`: `int64_value:-9223372036854775808`,
		`{"uint64Value": 18446744073709551615}`:  `uint64_value:18446744073709551615`,
		`{"doubleValue": "-Infinity"}`:           `double_value:-inf`,
		`{"floatValue": 0.5}`:                    `float_value:0.5`,
		`{"boolValue": true}`:                    `bool_value:true`,
		`{"stringValue": "\ud83d\ude00"}`:        `string_value:"😀"`,
		`{"bytesValue": "-_-_"}`:                 `bytes_value:"\xfb\xff\xbf"`,
		`{"genre": "GENRE_POETRY"}`:              `genre:GENRE_POETRY`,
		`{"genre": 77}`:                          `genre:77`,
		`{"inner": {"boolValue": true}}`:         `inner:{bool_value:true}`,
		`{"inner": null}`:                        ``,
		`{"numbers": [1, "2"]}`:                  `numbers:1 numbers:2`,
		`{"names": {"7": "seven"}}`:              `names:{key:7 value:"seven"}`,
		`{"chapters": {"true": {"page": 1}}}`:    `chapters:{key:true value:{page:1}}`,
		`{"nothing": null}`:                      `nothing:NULL_VALUE`,
		`{"at": "2026-01-31T12:00:00.5+01:00"}`:  `at:{seconds:1769857200 nanos:500000000}`,
		`{"during": "-1.5s"}`:                    `during:{seconds:-1 nanos:-500000000}`,
		`{"mask": "bookId,inner.int32Value"}`:    `mask:{paths:"book_id" paths:"inner.int32_value"}`,
		`{"struct": {"a": [1, null, "x", {"b": true}]}}`: `struct:{fields:{key:"a" value:{list_value:{values:{number_value:1} ` +
			`values:{null_value:NULL_VALUE} values:{string_value:"x"} values:{struct_value:{fields:{key:"b" ` +
			`value:{bool_value:true}}}}}}}}`,
		`{"wrappedInt64": "9"}`: `wrapped_int64:{value:9}`,
		`{"@odd": "x"}`:         `custom:"x"`,
		`{"any": {"@type": "type.googleapis.com/library.v1.Chapter", "page": 3}}`: `any:{[type.googleapis.com/library.v1.Chapter]:{page:3}}`,
	} {
		message, bad := everything(t, body)
		if bad != nil {
			t.Errorf("%s is refused: %v", body, bad)
			continue
		}
		if read := plain(t, message); read != field {
			t.Errorf("%s is read as %s, not as %s", body, read, field)
		}
	}
}

func TestWhatTheMappingDoesNotAllowIsRefusedWithItsPlace(t *testing.T) {
	for _, each := range []struct{ body, field, message string }{
		{`{"int32Value": "05"}`, "int32Value", "must be an integer"},
		{`{"int32Value": "+5"}`, "int32Value", "must be an integer"},
		{`{"int32Value": "1_000"}`, "int32Value", "must be an integer"},
		{`{"int32Value": "٣"}`, "int32Value", "must be an integer"},
		{`{"int32Value": 1.5}`, "int32Value", "must be an integer"},
		{`{"int32Value": true}`, "int32Value", "must be an integer, not a boolean"},
		{`{"int32Value": 2147483648}`, "int32Value", "must be between -2147483648 and 2147483647"},
		{`{"int32Value": 1e99}`, "int32Value", "is out of range"},
		{`{"uint32Value": -1}`, "uint32Value", "must be between 0 and 4294967295"},
		{`{"genre": "1"}`, "genre", "must be one of GENRE_UNSPECIFIED, GENRE_NOVEL, GENRE_POETRY"},
		{`{"genre": true}`, "genre", "must be the name of an enum value, not a boolean"},
		{`{"bytesValue": "a"}`, "bytesValue", "must be base64"},
		{`{"bytesValue": "+_"}`, "bytesValue", "must be base64"},
		{`{"bytesValue": "YQ="}`, "bytesValue", "must be base64"},
		{`{"floatValue": true}`, "floatValue", "must be a number, not a boolean"},
		{`{"floatValue": ".5"}`, "floatValue", "must be a number"},
		{`{"floatValue": 1e39}`, "floatValue", "is out of range"},
		{`{"at": "2026-01-31 12:00:00Z"}`, "at", "must be a timestamp such as 2026-01-31T12:00:00Z"},
		{`{"at": "2026-02-30T12:00:00Z"}`, "at", "must be a moment between the years 1 and 9999"},
		{`{"at": "2026-01-31T12:00:60Z"}`, "at", "must be a moment between the years 1 and 9999"},
		{`{"at": "2026-01-31T12:00:00+24:00"}`, "at", "must have an offset of less than a day"},
		{`{"at": "2026-01-31T12:00:00,5Z"}`, "at", "must be a timestamp such as 2026-01-31T12:00:00Z"},
		{`{"during": ".5s"}`, "during", "must be a duration such as 1.5s"},
		{`{"during": "315576000001s"}`, "during", "must be at most 315576000000 seconds"},
		{`{"mask": "book_id"}`, "mask", "must be field names in lowerCamelCase, separated by commas"},
		{`{"mask": "a, b"}`, "mask", "must be field names in lowerCamelCase, separated by commas"},
		{`{"inner": []}`, "inner", "must be an object, not an array"},
		{`{"numbers": [1, null]}`, "numbers[1]", "must be an integer, not null"},
		{`{"list": [{}, {"genre": 1.5}]}`, "list[1].genre", "must be an integer"},
		{`{"numbers": 1}`, "numbers", "must be an array, not a number"},
		{`{"counts": {"a": null}}`, "counts.a", "must be an integer, not null"},
		{`{"names": {"x": "y"}}`, "names.x", "must be an integer"},
		{`{"names": {"1": "a", "1.0": "b"}}`, "names.1.0", "stands twice in one object"},
		{`{"boolValue": true, "boolValue": true}`, "boolValue", "stands twice in one object"},
		{`{"int32Value": 1, "int32_value": 1}`, "int32_value", "stands twice in one object, also as int32Value"},
		{`{"inner": {"x": 1}}`, "inner.x", "there is no such field"},
		{`{"left": "a", "right": 1}`, "right", "cannot stand beside left: only one of them"},
		{`{"stringValue": "\u0000"}`, "stringValue", "must not contain U+0000"},
		{`{"stringValue": "\ud800"}`, "stringValue", "must not contain half of a surrogate pair"},
		{`{"any": {"page": 3}}`, "any.@type", "must be the URL of a type"},
		{`{"any": {"@type": "x/no.Such"}}`, "any.@type", "is not a known type"},
		{`null`, "", "must be an object, not null"},
		{`[]`, "", "must be an object, not an array"},
	} {
		_, bad := everything(t, each.body)
		if bad == nil {
			t.Errorf("%s is read", each.body)
		} else if bad.Field() != each.field || bad.Message != each.message {
			t.Errorf("%s is refused at %q: %s; not at %q: %s", each.body, bad.Field(), bad.Message, each.field, each.message)
		}
	}
}

func TestWhatIsNoJSONIsSaidWithItsPlace(t *testing.T) {
	for body, message := range map[string]string{
		`{`:                       "the body is not JSON: expecting property name enclosed in double quotes at line 1, column 2",
		`{"a"}`:                   "the body is not JSON: expecting ':' delimiter at line 1, column 5",
		`{"a": }`:                 "the body is not JSON: expecting value at line 1, column 7",
		`{"a": 1 "b"}`:            "the body is not JSON: expecting ',' delimiter at line 1, column 9",
		"{\n}x":                   "the body is not JSON: extra data at line 2, column 2",
		`{"a": "`:                 "the body is not JSON: unterminated string starting at at line 1, column 7",
		"{\"a\": \"\t\"}":         "the body is not JSON: invalid control character at at line 1, column 8",
		`{"a": NaN}`:              "the body is not JSON: NaN is not a number there",
		`{"a": 01}`:               "the body is not JSON: expecting ',' delimiter at line 1, column 8",
		"{\"a\": \"\xc3\x28\"}":   "the body is not UTF-8: byte 7 does not belong there",
		"\xef\xbb\xbf{}":          "the body is not JSON: expecting value at line 1, column 1",
		strings.Repeat("[", 1000): "the body is nested deeper than 64 levels",
	} {
		_, bad := everything(t, body)
		if bad == nil || bad.Message != message {
			t.Errorf("%.40q: %v, not: %s", body, bad, message)
		}
	}
}

// FuzzReadJSON holds against protojson: whatever is read here is read there as the same, but for what protojson is known not to read.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{"int32Value":1.0}`, `{"list":[{"at":"2026-01-31T12:00:00Z"}]}`, `{"struct":{"a":[1,null]}}`, `{"@odd":"\u00e4"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		message := library.Message(t, "Everything")
		if transcode.ReadJSON(body, message.ProtoReflect()) != nil {
			return
		}
		written, err := transcode.AppendJSON(nil, message.ProtoReflect())
		if err != nil {
			return
		}
		again := library.Message(t, "Everything")
		if bad := transcode.ReadJSON(written, again.ProtoReflect()); bad != nil {
			t.Fatalf("%s is not read again: %v", written, bad)
		}
		if twice, err := transcode.AppendJSON(nil, again.ProtoReflect()); err != nil || string(twice) != string(written) {
			t.Fatalf("%s becomes %s", written, twice)
		}
		other := library.Message(t, "Everything")
		if err := protojson.Unmarshal(written, other); err == nil && !proto.Equal(other, again) {
			t.Fatalf("protojson reads %s otherwise", written)
		}
	})
}
