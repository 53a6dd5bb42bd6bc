package transcode

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	one  = "*"
	rest = "**"
)

var (
	variableText = regexp.MustCompile(`^\{([a-zA-Z_][a-zA-Z0-9_.]*)(?:=([^{}]*))?\}`)
	literalText  = regexp.MustCompile(`^(?:[A-Za-z0-9\-._~!$&'()*+,;=@]|%[0-9A-Fa-f]{2})+$`)
	verbText     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
)

// Variable is a field (its path of proto names) and the segments it captures, from Start up to End; End < 0: to the last one.
type Variable struct {
	Field      []string
	Start, End int
}

// Template is a path template of google.api.http in its parts: segments (literals, "*", "**"), the variables over them, and the
// custom verb ("" when there is none).
type Template struct {
	Segments  []string
	Variables []Variable
	Verb      string
}

// ParseTemplate takes a template such as `/v1/{name=shelves/*/books/**}:publish` apart.
func ParseTemplate(text string) (Template, error) {
	var made Template
	if !strings.HasPrefix(text, "/") {
		return made, fmt.Errorf("%s: a path begins with /", text)
	}
	for position := 1; ; position++ {
		start := len(made.Segments)
		if found := variableText.FindStringSubmatch(text[position:]); found != nil {
			pattern := found[2]
			if pattern == "" {
				pattern = one
			}
			inner := strings.Split(pattern, "/")
			made.Segments = append(made.Segments, inner...)
			end := len(made.Segments)
			if inner[len(inner)-1] == rest {
				end = -1
			}
			made.Variables = append(made.Variables, Variable{strings.Split(found[1], "."), start, end})
			position += len(found[0])
		} else {
			end := len(text)
			if at := strings.IndexAny(text[position:], "/:"); at >= 0 {
				end = position + at
			}
			made.Segments = append(made.Segments, text[position:end])
			position = end
		}
		if position == len(text) {
			break
		}
		if text[position] == ':' {
			made.Verb = text[position+1:]
			if !verbText.MatchString(made.Verb) {
				return made, fmt.Errorf("%s: %q is no verb", text, made.Verb)
			}
			break
		}
		if text[position] != '/' {
			return made, fmt.Errorf("%s: a variable fills whole segments", text)
		}
	}
	return made, made.check(text)
}

func (t Template) check(text string) error {
	for index, segment := range t.Segments {
		if segment == rest && index != len(t.Segments)-1 {
			return fmt.Errorf("%s: ** stands last", text)
		}
		if segment != one && segment != rest && !literalText.MatchString(segment) && text != "/" {
			return fmt.Errorf("%s: %q is no segment", text, segment)
		}
	}
	for index, variable := range t.Variables {
		for _, other := range t.Variables[:index] {
			if slices.Equal(other.Field, variable.Field) {
				return fmt.Errorf("%s: a field stands twice", text)
			}
		}
	}
	return nil
}
