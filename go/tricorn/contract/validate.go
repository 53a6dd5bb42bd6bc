package contract

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
)

var validator = sync.OnceValues(func() (protovalidate.Validator, error) { return protovalidate.New() })

// Validate checks a message against the rules written beside its fields: nil, or a *Refusal with every broken rule. Another error means that a
// rule of the contract cannot be carried out.
func Validate(message proto.Message) error {
	if isPlainlyValid(message.ProtoReflect()) {
		return nil
	}
	rules, err := validator()
	if err != nil {
		return fmt.Errorf("make the validator: %w", err)
	}
	err = rules.Validate(message)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("validate a %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
	}
	broken := make([]Violation, 0, len(invalid.Violations))
	for _, each := range invalid.Violations {
		broken = append(broken, violation(each.Proto))
	}
	return Invalid(broken...)
}

// Warm compiles the rules of messages, which costs milliseconds each, before the first of them comes.
func Warm(messages ...proto.Message) error {
	rules, err := validator()
	if err != nil {
		return fmt.Errorf("make the validator: %w", err)
	}
	for _, message := range messages {
		isPlainlyValid(message.ProtoReflect())
		var invalid *protovalidate.ValidationError
		if err := rules.Validate(message); err != nil && !errors.As(err, &invalid) {
			return fmt.Errorf("prepare the rules of a %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
		}
	}
	return nil
}

func violation(broken *validate.Violation) Violation {
	made := Violation{Field: path(broken.GetField()), Rule: broken.GetRuleId(), Message: broken.GetMessage()}
	if made.Message == "" {
		made.Message = made.Rule
	}
	if made.Message == "" {
		made.Message = "is not valid"
	}
	return made
}

func path(field *validate.FieldPath) string {
	steps := make([]string, 0, len(field.GetElements()))
	for _, element := range field.GetElements() {
		step := element.GetFieldName()
		switch subscript := element.GetSubscript().(type) {
		case *validate.FieldPathElement_Index:
			step += "[" + strconv.FormatUint(subscript.Index, 10) + "]"
		case *validate.FieldPathElement_BoolKey:
			step += "[" + pythonBool(subscript.BoolKey) + "]"
		case *validate.FieldPathElement_IntKey:
			step += "[" + strconv.FormatInt(subscript.IntKey, 10) + "]"
		case *validate.FieldPathElement_UintKey:
			step += "[" + strconv.FormatUint(subscript.UintKey, 10) + "]"
		case *validate.FieldPathElement_StringKey:
			step += "[" + subscript.StringKey + "]"
		}
		steps = append(steps, step)
	}
	return strings.Join(steps, ".")
}

// pythonBool writes a key as the reference does.
func pythonBool(key bool) string {
	if key {
		return "True"
	}
	return "False"
}
