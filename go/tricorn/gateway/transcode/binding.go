package transcode

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
)

const (
	httpBodyName = "google.api.HttpBody"
	maskField    = "update_mask"
	everything   = "*"
	jsonType     = "application/json"
	octetStream  = "application/octet-stream"
)

// HeaderField is a field that a header fills: the field's proto name, the header's name as people write it, and the value.
type HeaderField struct {
	Field, Header, Value string
}

// Binding is one route of one method, ready to make requests and to write answers.
type Binding struct {
	Policy   *contract.Policy
	Route    contract.HTTPRoute
	Template Template
	// TakesBody, TakesRawBody and AnswersRawBody tell whether there is a body, and whether it is a google.api.HttpBody.
	TakesBody, TakesRawBody, AnswersRawBody bool

	input       protoreflect.MessageDescriptor
	variables   []pathVariable
	query       *queryReader
	bodyField   protoreflect.FieldDescriptor // nil: the whole request, or none
	putBody     putter
	answerField protoreflect.FieldDescriptor // nil: the whole answer
	mask        protoreflect.FieldDescriptor // filled by a PATCH; nil: not
}

type pathVariable struct {
	parameter
	names      []string // as in JSON
	start, end int
}

// NewBinding makes a route ready. It fails when the contract's route cannot be served: a field that it names does not exist, or does not fit
// into a path.
func NewBinding(policy *contract.Policy, route contract.HTTPRoute) (*Binding, error) {
	template, err := ParseTemplate(route.Template)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", policy.FullName, err)
	}
	b := &Binding{
		Policy: policy, Route: route, Template: template, TakesBody: route.Body != "", input: policy.Descriptor.Input(),
	}
	taken := map[string]bool{}
	for _, variable := range template.Variables {
		made, err := b.variable(variable)
		if err != nil {
			return nil, err
		}
		b.variables = append(b.variables, made)
		taken[strings.Join(variable.Field, ".")] = true
	}
	if route.Body != "" && route.Body != everything {
		if b.bodyField, err = b.named(b.input, route.Body); err != nil {
			return nil, err
		}
		b.putBody = fieldPutter(b.bodyField)
		taken[route.Body] = true
	}
	output := policy.Descriptor.Output()
	if route.ResponseBody != "" {
		if b.answerField, err = b.named(output, route.ResponseBody); err != nil {
			return nil, err
		}
	}
	b.query = &queryReader{descriptor: b.input, taken: taken, closed: route.Body == everything}
	b.TakesRawBody = b.TakesBody && isRaw(b.bodyField, b.input)
	b.AnswersRawBody = isRaw(b.answerField, output)
	mask := b.input.Fields().ByName(maskField)
	if route.Verb == http.MethodPatch && b.bodyField != nil && b.bodyField.Message() != nil && mask != nil &&
		mask.Message() != nil && mask.Message().FullName() == "google.protobuf.FieldMask" {
		b.mask = mask
	}
	return b, nil
}

// Name is how logs and metrics call the route: "GET /api/v1/products/{product_id}".
func (b *Binding) Name() string { return b.Route.Verb + " " + b.Route.Template }

// Request makes the request message from the path's segments (still percent-encoded), the query, the body and the fields that headers fill. An
// empty body is the same as {}; the content type is kept in a HttpBody.
func (b *Binding) Request(segments []string, query string, body []byte, contentType string, headers []HeaderField) (
	proto.Message, *Malformed,
) {
	request := b.Policy.NewRequest()
	message := request.ProtoReflect()
	var tree value
	if len(body) > 0 {
		var bad *Malformed
		if tree, bad = b.readBody(body, contentType, message); bad != nil {
			return nil, bad
		}
	}
	for index := range b.variables {
		if bad := b.variables[index].put(segments, &tree, b, message); bad != nil {
			return nil, bad
		}
	}
	if query != "" {
		if bad := b.query.read(query, message); bad != nil {
			return nil, bad
		}
	}
	if b.mask != nil && tree.kind == object && !message.Has(b.mask) {
		b.fillMask(&tree, message)
	}
	for _, header := range headers {
		field := b.input.Fields().ByName(protoreflect.Name(header.Field))
		given := b.Route.Body == everything && tree.gives(field) || b.query.names(query, field)
		if held := message.Get(field).String(); (given || held != "") && held != header.Value {
			return nil, NewMalformed("differs from the header "+header.Header, field.JSONName())
		}
		message.Set(field, protoreflect.ValueOfString(header.Value))
	}
	return request, nil
}

// Answer writes the body of an answer and says of what type it is.
func (b *Binding) Answer(answer proto.Message) ([]byte, string, error) {
	message := answer.ProtoReflect()
	if b.AnswersRawBody {
		if b.answerField != nil {
			message = message.Get(b.answerField).Message()
		}
		fields := message.Descriptor().Fields()
		data, contentType := message.Get(fields.ByName("data")).Bytes(), message.Get(fields.ByName("content_type")).String()
		if contentType == "" {
			contentType = octetStream
		}
		return data, contentType, nil
	}
	var body []byte
	var err error
	if b.answerField != nil {
		body, err = appendField(make([]byte, 0, 512), b.answerField, message.Get(b.answerField))
	} else {
		body, err = AppendJSON(make([]byte, 0, 512), message)
	}
	if err != nil {
		return nil, "", fmt.Errorf("write the answer of %s: %w", b.Policy.FullName, err)
	}
	return body, jsonType, nil
}

// readBody fills the message, and gives the JSON that it was filled from.
func (b *Binding) readBody(body []byte, contentType string, message protoreflect.Message) (value, *Malformed) {
	if b.TakesRawBody {
		into := message
		if b.bodyField != nil {
			into = message.Mutable(b.bodyField).Message()
		}
		fields := into.Descriptor().Fields()
		into.Set(fields.ByName("content_type"), protoreflect.ValueOfString(contentType))
		into.Set(fields.ByName("data"), protoreflect.ValueOfBytes(body))
		return value{}, nil
	}
	tree, bad := parse(body)
	if bad != nil {
		return tree, bad
	}
	if b.bodyField == nil {
		return tree, fillerOf(b.input)(&tree, message)
	}
	if tree.kind == null {
		return tree, nil
	}
	return tree, b.putBody(&tree, message)
}

// fillMask names the fields that a PATCH gives, for a mask that nobody gave.
func (b *Binding) fillMask(tree *value, message protoreflect.Message) {
	if len(tree.keys) == 0 {
		return
	}
	reader := readerOf(b.bodyField.Message())
	reader.prepare()
	mask := message.Mutable(b.mask).Message()
	paths := mask.Mutable(mask.Descriptor().Fields().ByName("paths")).List()
	for _, key := range tree.keys {
		paths.Append(protoreflect.ValueOfString(string(reader.fields[key].descriptor.Name())))
	}
}

// gives tells whether a JSON object has a value for a field.
func (v *value) gives(field protoreflect.FieldDescriptor) bool {
	found := v.of(field)
	return found != nil && found.kind != null
}

func (v *value) of(field protoreflect.FieldDescriptor) *value {
	if found := v.member(field.JSONName()); found != nil {
		return found
	}
	return v.member(string(field.Name()))
}

func (p *pathVariable) put(segments []string, tree *value, b *Binding, message protoreflect.Message) *Malformed {
	end := p.end
	if end < 0 {
		end = len(segments)
	}
	parts := make([]string, 0, 4)
	for _, raw := range segments[p.start:end] {
		decoded, bad := decode(raw, false)
		if bad != nil {
			return bad.within(p.names...)
		}
		parts = append(parts, decoded)
	}
	captured := value{kind: text, text: strings.Join(parts, "/")}
	into := p.into(message)
	if b.Route.Body == everything && p.givenBy(tree) {
		held := into.Get(p.field)
		other := into.New()
		if bad := p.parameter.put(&captured, other); bad != nil {
			return bad.within(p.names...)
		}
		if !held.Equal(other.Get(p.field)) {
			return NewMalformed("differs from the one in the path", p.names...)
		}
		return nil
	}
	if bad := p.parameter.put(&captured, into); bad != nil {
		return bad.within(p.names...)
	}
	return nil
}

func (p *pathVariable) givenBy(tree *value) bool {
	for _, parent := range p.parents {
		if tree = tree.of(parent); tree == nil {
			return false
		}
	}
	return tree.gives(p.field)
}

func (b *Binding) variable(variable Variable) (pathVariable, error) {
	made := pathVariable{start: variable.Start, end: variable.End}
	descriptor := b.input
	for index, name := range variable.Field {
		field, err := b.named(descriptor, name)
		if err != nil {
			return made, err
		}
		made.names = append(made.names, field.JSONName())
		if index < len(variable.Field)-1 {
			made.parents = append(made.parents, field)
			descriptor = field.Message()
			continue
		}
		made.field = field
		if field.Cardinality() != protoreflect.Repeated {
			made.parameter.put = textPutter(field)
		}
	}
	if made.parameter.put == nil {
		return made, fmt.Errorf("%s: %s cannot stand in a path", b.Policy.FullName, strings.Join(variable.Field, "."))
	}
	return made, nil
}

func (b *Binding) named(descriptor protoreflect.MessageDescriptor, name string) (protoreflect.FieldDescriptor, error) {
	if descriptor != nil {
		if field := descriptor.Fields().ByName(protoreflect.Name(name)); field != nil {
			return field, nil
		}
	}
	return nil, fmt.Errorf("%s: %s names the field %s, which does not exist", b.Policy.FullName, b.Route.Template, name)
}

func isRaw(field protoreflect.FieldDescriptor, whole protoreflect.MessageDescriptor) bool {
	if field != nil {
		whole = field.Message()
	}
	return whole != nil && whole.FullName() == httpBodyName
}
