package transcode

import "strings"

// Malformed is a value that is not what its field takes. It is no error of its own accord: functions return *Malformed, nil when
// all is well.
type Malformed struct {
	Message string
	path    []string
}

// NewMalformed says what is wrong with the value at a path of JSON names.
func NewMalformed(message string, path ...string) *Malformed {
	return &Malformed{Message: message, path: path}
}

// Error makes it an error where one is asked for.
func (m *Malformed) Error() string {
	if name := m.Field(); name != "" {
		return name + ": " + m.Message
	}
	return m.Message
}

// Field is the JSON path of the value: `lines[0].quantity`; "" for the whole body.
func (m *Malformed) Field() string {
	return strings.ReplaceAll(strings.Join(m.path, "."), ".[", "[")
}

func (m *Malformed) within(segments ...string) *Malformed {
	m.path = append(append([]string{}, segments...), m.path...)
	return m
}
