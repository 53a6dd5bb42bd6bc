// Package problem writes every failure as application/problem+json (RFC 9457). It is the one place where reasons meet HTTP.
package problem

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tricorn/contract"
)

// ContentType is that of every failure.
const ContentType = "application/problem+json"

// Problem is a failure, ready to be sent.
type Problem struct {
	Code       string
	Status     int
	Detail     string
	Violations []contract.Violation
	Metadata   map[string]string
	// Header goes on the answer: Retry-After, WWW-Authenticate, Allow.
	Header http.Header
}

// New is a failure that the gateway itself finds.
func New(reason, detail string) *Problem {
	entry := contract.Entry(reason)
	return &Problem{Code: entry.Name, Status: entry.HTTP, Detail: detail, Header: http.Header{}}
}

// Internal is a defect of ours; nothing of it is shown.
func Internal() *Problem {
	return New(contract.ReasonInternal,
		"Something went wrong on our side. The trace id helps us to find out what happened.")
}

// BodyTooLarge is the answer to a body of more bytes than are taken; the connection ends, since nobody reads the rest of it.
func BodyTooLarge(limit int64) *Problem {
	return New(contract.ReasonPayloadTooLarge, "a body may have at most "+strconv.FormatInt(limit, 10)+" bytes").
		WithHeader("Connection", "close")
}

// WithStatus gives the problem another HTTP status than its reason has.
func (p *Problem) WithStatus(status int) *Problem {
	p.Status = status
	return p
}

// WithHeader sets a header of the answer.
func (p *Problem) WithHeader(name, value string) *Problem {
	p.Header.Set(name, value)
	return p
}

// FromRefusal is what a refusal looks like. The fields of its violations are spelled as in JSON when the request's type is given
// (nil: as they are). A reason that nobody declared becomes INTERNAL without its text, and so does INTERNAL itself.
func FromRefusal(refusal *contract.Refusal, request protoreflect.MessageDescriptor) *Problem {
	entry := contract.Entry(refusal.Reason)
	if entry.Name == contract.ReasonInternal {
		return Internal()
	}
	made := New(entry.Name, refusal.Detail)
	made.Metadata = refusal.Metadata
	for _, broken := range refusal.Violations {
		broken.Field = JSONPath(broken.Field, request)
		made.Violations = append(made.Violations, broken)
	}
	after := refusal.RetryAfter
	if after == 0 && entry.Name == contract.ReasonUnavailable {
		after = time.Second
	}
	if after > 0 {
		made.Header.Set("Retry-After", strconv.Itoa(WholeSeconds(after)))
	}
	if entry.HTTP == http.StatusUnauthorized {
		made.Header.Set("WWW-Authenticate", "Bearer")
	}
	return made
}

// WholeSeconds rounds up, to one at least, as Retry-After wants it.
func WholeSeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}

type document struct {
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Status     int               `json:"status"`
	Detail     string            `json:"detail"`
	Code       string            `json:"code"`
	TraceID    string            `json:"traceId"`
	Violations []violation       `json:"violations"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

type violation struct {
	Field   string `json:"field"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// Body is the document.
func (p *Problem) Body(traceID string) []byte {
	broken := make([]violation, len(p.Violations))
	for index, each := range p.Violations {
		broken[index] = violation(each)
	}
	body, err := json.Marshal(document{
		Type(p.Code), Title(p.Code), p.Status, p.Detail, p.Code, traceID, broken, p.Metadata,
	})
	if err != nil { // a struct of texts always has a form
		panic(err)
	}
	return body
}

// Type is where a reason is explained: /problems/out-of-stock.
func Type(code string) string {
	return "/problems/" + strings.ToLower(strings.ReplaceAll(code, "_", "-"))
}

// Title is a reason in words: "Out of stock".
func Title(code string) string {
	words := strings.ToLower(strings.ReplaceAll(code, "_", " "))
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// JSONPath spells `order_lines[0].product_id` as JSON does: `orderLines[0].productId`. What is not known stays as it is.
func JSONPath(path string, message protoreflect.MessageDescriptor) string {
	if message == nil || path == "" {
		return path
	}
	segments := strings.Split(path, ".")
	for index, segment := range segments {
		name, subscript := segment, ""
		if at := strings.IndexByte(segment, '['); at >= 0 {
			name, subscript = segment[:at], segment[at:]
		}
		var field protoreflect.FieldDescriptor
		if message != nil {
			field = message.Fields().ByName(protoreflect.Name(name))
		}
		if field == nil {
			message = nil
			continue
		}
		segments[index] = field.JSONName() + subscript
		if message = field.Message(); field.IsMap() {
			message = field.MapValue().Message()
		}
	}
	return strings.Join(segments, ".")
}
