package transcode

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

const mostParameters = 256

// decode percent-decodes a segment or a parameter (there, with plus, a plus is a space). It refuses a broken escape, bytes that are
// no UTF-8, and U+0000.
func decode(raw string, plus bool) (string, *Malformed) {
	if plus && strings.IndexByte(raw, '+') >= 0 {
		raw = strings.ReplaceAll(raw, "+", " ")
	}
	decoded := raw
	if strings.IndexByte(raw, '%') >= 0 {
		made := make([]byte, 0, len(raw))
		for at := 0; at < len(raw); at++ {
			if raw[at] != '%' {
				made = append(made, raw[at])
				continue
			}
			if at+2 >= len(raw) || !isHex(raw[at+1]) || !isHex(raw[at+2]) {
				return "", NewMalformed("holds a % that is no escape")
			}
			made = append(made, hex(raw[at+1])<<4|hex(raw[at+2]))
			at += 2
		}
		decoded = string(made)
	}
	if !utf8.ValidString(decoded) {
		return "", NewMalformed("is not UTF-8")
	}
	if strings.IndexByte(decoded, 0) >= 0 {
		return "", NewMalformed("must not contain U+0000")
	}
	return decoded, nil
}

func isHex(c byte) bool {
	return (c >= '0' && c <= '9') || (c|0x20 >= 'a' && c|0x20 <= 'f')
}

func hex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// textPutter reads one value of a field from a text, and adds it where the field is repeated; nil where text cannot carry it.
func textPutter(field protoreflect.FieldDescriptor) putter {
	if field.IsMap() {
		return nil
	}
	var read reader
	var fill filler
	if field.Message() == nil {
		read = scalarReader(field, true)
	} else if fill = wellKnown(field.Message(), true); fill == nil {
		return nil
	}
	return func(v *value, into protoreflect.Message) *Malformed {
		if field.IsList() {
			list := into.Mutable(field).List()
			made, bad := element(list.NewElement, v, read, fill)
			if bad == nil {
				list.Append(made)
			}
			return bad
		}
		if fill != nil {
			return fill(v, into.Mutable(field).Message())
		}
		made, bad := read(v)
		if bad == nil {
			into.Set(field, made)
		}
		return bad
	}
}

type parameter struct {
	parents  []protoreflect.FieldDescriptor
	field    protoreflect.FieldDescriptor
	put      putter
	repeated bool
}

// into is the message that holds the parameter's field.
func (p *parameter) into(message protoreflect.Message) protoreflect.Message {
	for _, parent := range p.parents {
		message = message.Mutable(parent).Message()
	}
	return message
}

// queryReader reads the query string of a route: every field that neither the path nor the body carries, nested ones by dots.
type queryReader struct {
	descriptor protoreflect.MessageDescriptor
	taken      map[string]bool // dotted proto names
	closed     bool            // the body takes everything
	known      sync.Map        // name -> *parameter
}

// names tells whether a query that was read has a parameter for a field of the request itself.
func (q *queryReader) names(query string, field protoreflect.FieldDescriptor) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, bad := decode(name, true); bad == nil && decoded != "" {
			if found := q.find(decoded); found != nil && len(found.parents) == 0 && found.field == field {
				return true
			}
		}
	}
	return false
}

func (q *queryReader) read(query string, into protoreflect.Message) *Malformed {
	if strings.Count(query, "&") >= mostParameters {
		return NewMalformed(fmt.Sprintf("there are more than %d query parameters", mostParameters))
	}
	var seen []*parameter
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, bad := decode(rawName, true)
		if bad != nil {
			return bad.within(rawName)
		}
		found := q.find(name)
		if found == nil {
			return NewMalformed("there is no such query parameter", name)
		}
		decoded, bad := decode(rawValue, true)
		if bad != nil {
			return bad.within(name)
		}
		twice := false
		for _, other := range seen {
			twice = twice || (!found.repeated && other.is(found))
		}
		target := found.into(into)
		if twice { // a value that does not fit is said first
			target = target.New()
		}
		if bad := found.put(&value{kind: text, text: decoded}, target); bad != nil {
			return bad.within(name)
		}
		if twice {
			return NewMalformed("is given twice", name)
		}
		seen = append(seen, found)
	}
	return nil
}

// is tells whether both stand for one field; a field has two spellings.
func (p *parameter) is(other *parameter) bool {
	if p.field != other.field || len(p.parents) != len(other.parents) {
		return false
	}
	for index, parent := range p.parents {
		if parent != other.parents[index] {
			return false
		}
	}
	return true
}

func (q *queryReader) find(name string) *parameter {
	if known, ok := q.known.Load(name); ok {
		return known.(*parameter)
	}
	if q.closed {
		return nil
	}
	made := &parameter{}
	descriptor, path := q.descriptor, ""
	parts := strings.Split(name, ".")
	for index, part := range parts {
		field := fieldNamed(descriptor, part)
		if field == nil {
			return nil
		}
		path = strings.TrimPrefix(path+"."+string(field.Name()), ".")
		if q.taken[path] {
			return nil
		}
		if index < len(parts)-1 {
			if field.Message() == nil || field.Cardinality() == protoreflect.Repeated {
				return nil
			}
			made.parents = append(made.parents, field)
			descriptor = field.Message()
			continue
		}
		made.field, made.repeated, made.put = field, field.IsList(), textPutter(field)
	}
	if made.put == nil {
		return nil
	}
	// Only names that lead somewhere are kept: there are few of them.
	q.known.Store(name, made)
	return made
}

func fieldNamed(descriptor protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if found := descriptor.Fields().ByName(protoreflect.Name(name)); found != nil {
		return found
	}
	for index := range descriptor.Fields().Len() {
		if field := descriptor.Fields().Get(index); camel(string(field.Name())) == name {
			return field
		}
	}
	return descriptor.Fields().ByJSONName(name)
}

func camel(name string) string {
	made := make([]byte, 0, len(name))
	raise := false
	for _, c := range []byte(name) {
		switch {
		case c == '_':
			raise = true
			continue
		case raise && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		raise = false
		made = append(made, c)
	}
	return string(made)
}
