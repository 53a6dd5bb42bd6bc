package transcode

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	anyName  = "google.protobuf.Any"
	nullName = "google.protobuf.NullValue"
	typeKey  = "@type"
)

// putter reads a JSON value into a field of a message.
type putter func(v *value, into protoreflect.Message) *Malformed

type field struct {
	descriptor protoreflect.FieldDescriptor
	put        putter
	takesNull  bool
	// twin is the field's other spelling, where this is the proto name and JSON has another.
	twin string
}

// messageReader reads one type of message; made once for each.
type messageReader struct {
	descriptor protoreflect.MessageDescriptor
	once       sync.Once
	fields     map[string]*field
	hasOneofs  bool
}

var readers sync.Map // protoreflect.MessageDescriptor -> *messageReader

func readerOf(descriptor protoreflect.MessageDescriptor) *messageReader {
	if known, ok := readers.Load(descriptor); ok {
		return known.(*messageReader)
	}
	made, _ := readers.LoadOrStore(descriptor, &messageReader{descriptor: descriptor})
	return made.(*messageReader)
}

// prepare finds the fields by both of their spellings; late, since types may contain themselves.
func (r *messageReader) prepare() {
	r.once.Do(func() {
		fields := r.descriptor.Fields()
		r.fields = make(map[string]*field, 2*fields.Len())
		for index := range fields.Len() {
			descriptor := fields.Get(index)
			one := field{descriptor: descriptor, put: fieldPutter(descriptor), takesNull: takesNull(descriptor)}
			byName := one
			if descriptor.JSONName() != string(descriptor.Name()) {
				byName.twin = descriptor.JSONName()
			}
			r.fields[string(descriptor.Name())] = &byName
			if byName.twin != "" {
				r.fields[byName.twin] = &one
			}
		}
		for index := range r.descriptor.Oneofs().Len() {
			r.hasOneofs = r.hasOneofs || r.descriptor.Oneofs().Get(index).Fields().Len() > 1
		}
	})
}

func takesNull(field protoreflect.FieldDescriptor) bool {
	if field.Cardinality() == protoreflect.Repeated {
		return false
	}
	return (field.Message() != nil && field.Message().FullName() == "google.protobuf.Value") ||
		(field.Enum() != nil && field.Enum().FullName() == nullName)
}

func (r *messageReader) read(v *value, into protoreflect.Message) *Malformed {
	if bad := mustBeObject(v); bad != nil {
		return bad
	}
	return r.readKeys(v, into, "")
}

// readKeys reads all members but one.
func (r *messageReader) readKeys(v *value, into protoreflect.Message, but string) *Malformed {
	r.prepare()
	var given []*field
	for index, key := range v.keys {
		if key == but && but != "" {
			continue
		}
		field := r.fields[key]
		if field == nil {
			return NewMalformed("there is no such field", key)
		}
		if field.twin != "" && v.member(field.twin) != nil {
			return NewMalformed("stands twice in one object, also as "+field.twin, key)
		}
		item := &v.items[index]
		if item.kind == null && !field.takesNull {
			continue
		}
		if bad := field.put(item, into); bad != nil {
			return bad.within(key)
		}
		if r.hasOneofs && field.descriptor.ContainingOneof() != nil {
			given = append(given, field)
		}
	}
	return checkOneofs(given)
}

func checkOneofs(given []*field) *Malformed {
	for index, one := range given {
		for _, other := range given[:index] {
			if other.descriptor.ContainingOneof() == one.descriptor.ContainingOneof() {
				return NewMalformed(fmt.Sprintf("cannot stand beside %s: only one of them", other.descriptor.Name()),
					string(one.descriptor.Name()))
			}
		}
	}
	return nil
}

// ReadJSON reads a body into a message as strictly as the REST API does.
func ReadJSON(body []byte, into protoreflect.Message) *Malformed {
	tree, bad := parse(body)
	if bad != nil {
		return bad
	}
	return fillerOf(into.Descriptor())(&tree, into)
}

// fillerOf reads a JSON value of this type of message, well-known types included.
func fillerOf(descriptor protoreflect.MessageDescriptor) filler {
	if read := wellKnown(descriptor, false); read != nil {
		return read
	}
	if descriptor.FullName() == anyName {
		return readAny
	}
	return readerOf(descriptor).read
}

// fieldPutter reads a whole field: an array where it is repeated, an object where it is a map.
func fieldPutter(field protoreflect.FieldDescriptor) putter {
	switch {
	case field.IsMap():
		return mapPutter(field)
	case field.IsList():
		return listPutter(field)
	case field.Message() != nil:
		var once sync.Once
		var read filler
		return func(v *value, into protoreflect.Message) *Malformed {
			once.Do(func() { read = fillerOf(field.Message()) })
			return read(v, into.Mutable(field).Message())
		}
	}
	read := elementReader(field)
	return func(v *value, into protoreflect.Message) *Malformed {
		read, bad := read(v)
		if bad == nil {
			into.Set(field, read)
		}
		return bad
	}
}

func elementReader(field protoreflect.FieldDescriptor) reader {
	read := scalarReader(field, false)
	if field.Enum() == nil || field.Enum().FullName() != nullName {
		return read
	}
	return func(v *value) (protoreflect.Value, *Malformed) {
		if v.kind == null {
			return protoreflect.ValueOfEnum(0), nil
		}
		return read(v)
	}
}

func listPutter(field protoreflect.FieldDescriptor) putter {
	var read reader
	var once sync.Once
	var fill filler
	if field.Message() == nil {
		read = elementReader(field)
	}
	return func(v *value, into protoreflect.Message) *Malformed {
		if v.kind != array {
			return wrong("an array", v)
		}
		if len(v.items) == 0 {
			return nil
		}
		once.Do(func() {
			if field.Message() != nil {
				fill = fillerOf(field.Message())
			}
		})
		list := into.Mutable(field).List()
		for index := range v.items {
			made, bad := element(list.NewElement, &v.items[index], read, fill)
			if bad != nil {
				return bad.within(fmt.Sprintf("[%d]", index))
			}
			list.Append(made)
		}
		return nil
	}
}

// element makes an element of a list or a value of a map: a message by fill, all else by read.
func element(empty func() protoreflect.Value, v *value, read reader, fill filler) (protoreflect.Value, *Malformed) {
	if fill == nil {
		return read(v)
	}
	made := empty()
	return made, fill(v, made.Message())
}

func mapPutter(field protoreflect.FieldDescriptor) putter {
	readKey := scalarReader(field.MapKey(), true)
	var read reader
	var fill filler
	var once sync.Once
	return func(v *value, into protoreflect.Message) *Malformed {
		if bad := mustBeObject(v); bad != nil {
			return bad
		}
		once.Do(func() {
			if message := field.MapValue().Message(); message != nil {
				fill = fillerOf(message)
			} else {
				read = elementReader(field.MapValue())
			}
		})
		entries := into.Mutable(field).Map()
		for index, name := range v.keys {
			key, bad := readKey(&value{kind: text, text: name})
			if bad != nil {
				return bad.within(name)
			}
			item, bad := element(entries.NewValue, &v.items[index], read, fill)
			if bad != nil {
				return bad.within(name)
			}
			if entries.Has(key.MapKey()) {
				return NewMalformed("stands twice in one object", name)
			}
			entries.Set(key.MapKey(), item)
		}
		return nil
	}
}

func readAny(v *value, into protoreflect.Message) *Malformed {
	if bad := mustBeObject(v); bad != nil {
		return bad
	}
	if len(v.keys) == 0 {
		return nil
	}
	url := v.member(typeKey)
	if url == nil || url.kind != text || !strings.Contains(url.text, "/") {
		return NewMalformed("must be the URL of a type", typeKey)
	}
	found, err := protoregistry.GlobalTypes.FindMessageByURL(url.text)
	if err != nil {
		return NewMalformed("is not a known type", typeKey)
	}
	inner := found.New()
	if bad := fillAny(v, inner); bad != nil {
		return bad
	}
	packed, err := proto.MarshalOptions{Deterministic: true}.Marshal(inner.Interface())
	if err != nil {
		return NewMalformed("cannot be packed")
	}
	fields := into.Descriptor().Fields()
	into.Set(fields.ByNumber(1), protoreflect.ValueOfString(url.text))
	into.Set(fields.ByNumber(2), protoreflect.ValueOfBytes(packed))
	return nil
}

func fillAny(v *value, inner protoreflect.Message) *Malformed {
	descriptor := inner.Descriptor()
	read := wellKnown(descriptor, false)
	if read == nil && descriptor.FullName() != anyName {
		return readerOf(descriptor).readKeys(v, inner, typeKey)
	}
	item := v.member("value")
	if len(v.keys) != 2 || item == nil {
		return NewMalformed("must be an object with @type and value only")
	}
	if read == nil {
		read = readAny
	}
	return read(item, inner)
}
