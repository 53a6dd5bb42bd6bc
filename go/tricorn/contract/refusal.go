package contract

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Violation is one rule that a request breaks: the field's path ("lines[0].quantity"), the rule's id, and what it asks for.
type Violation struct {
	Field   string
	Rule    string
	Message string
}

// Refusal is an answer other than the one that was hoped for, in the words of the closed vocabulary. It is an answer of the contract, not a
// defect; whatever else a handler returns as an error is told to nobody and shown as INTERNAL.
type Refusal struct {
	// Reason is a name of the vocabulary, without REASON_.
	Reason string
	// Detail says what was wrong, with what, and what to do; it is shown to the caller, so it never names an internal.
	Detail string
	// Metadata are facts a program can act on, for example what is left of a product.
	Metadata map[string]string
	// Violations are the broken rules of an INVALID_ARGUMENT.
	Violations []Violation
	// RetryAfter is when it may be tried again; nothing when zero.
	RetryAfter time.Duration
	// Unsent calls provably never left their caller, so they may be repeated whatever they do.
	Unsent bool
	// Transport refusals are not in the words of a contract: this is what the transport met.
	Transport bool
	// BreakerOpen refusals come from a breaker of this process: the target failed too often and is given a rest.
	BreakerOpen bool
}

// Refuse makes a refusal.
func Refuse(reason, detail string) *Refusal { return &Refusal{Reason: reason, Detail: detail} }

// Refusef makes a refusal whose detail is formatted.
func Refusef(reason, format string, values ...any) *Refusal {
	return Refuse(reason, fmt.Sprintf(format, values...))
}

// With adds a fact that a program can act on, and gives the same refusal.
func (r *Refusal) With(key, value string) *Refusal {
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	r.Metadata[key] = value
	return r
}

// After says when it may be tried again, and gives the same refusal.
func (r *Refusal) After(delay time.Duration) *Refusal {
	r.RetryAfter = delay
	return r
}

// Error names the reason, the detail and every broken rule.
func (r *Refusal) Error() string {
	var text strings.Builder
	text.WriteString(r.Reason + ": " + r.Detail)
	for _, broken := range r.Violations {
		text.WriteString("; " + broken.Field + ": " + broken.Message)
	}
	return text.String()
}

// InternalError is the refusal for a defect of ours, which shows nothing.
func InternalError() *Refusal {
	return Refuse(ReasonInternal, "something went wrong here; it has been logged")
}

// TooLate is the refusal for a method that did not answer in time.
func TooLate(method string) *Refusal {
	return Refuse(ReasonDeadlineExceeded, method+" did not end within its deadline")
}

// Invalid is the refusal of a request that breaks rules; at least one.
func Invalid(broken ...Violation) *Refusal {
	field, more := broken[0].Field, ""
	if field == "" {
		field = "the request"
	}
	if len(broken) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(broken)-1)
	}
	refusal := Refusef(ReasonInvalidArgument, "%s: %s%s", field, broken[0].Message, more)
	refusal.Violations = broken
	return refusal
}

// ReasonName gives the name of a value of an application's enum of reasons, as refusals carry it.
func ReasonName(reason protoreflect.Enum) string {
	value := reason.Descriptor().Values().ByNumber(reason.Number())
	if value == nil {
		return ReasonInternal
	}
	return strings.TrimPrefix(string(value.Name()), "REASON_")
}
