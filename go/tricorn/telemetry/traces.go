package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync/atomic"
)

// TraceContext is where in which trace the running code is.
type TraceContext struct {
	TraceID [16]byte
	// SpanID is zero before the first span of a trace.
	SpanID [8]byte
	// Sampled tells whether the trace is recorded.
	Sampled bool
}

// Kind says what a span is about; the values are OpenTelemetry's.
type Kind int

// The kinds of spans.
const (
	KindInternal Kind = iota + 1
	KindServer
	KindClient
	KindProducer
	KindConsumer
)

const (
	traceparentLength = 55
	dashes            = "-"
)

type traceKey struct{}

// exporting is the way to the SDK, once ConfigureTracing found an endpoint.
var exporting atomic.Pointer[exporter]

// Traceparent is the value of the W3C header of that name.
func (t TraceContext) Traceparent() string {
	text := make([]byte, 0, traceparentLength)
	text = append(text, "00-"...)
	text = hex.AppendEncode(text, t.TraceID[:])
	text = append(text, dashes...)
	text = hex.AppendEncode(text, t.SpanID[:])
	if t.Sampled {
		return string(append(text, "-01"...))
	}
	return string(append(text, "-00"...))
}

// Trace gives the trace that the context is in.
func Trace(ctx context.Context) (TraceContext, bool) {
	if found, ok := ctx.Value(traceKey{}).(*TraceContext); ok {
		return *found, true
	}
	return TraceContext{}, false
}

// Traceparent gives the header to send along with a call; empty outside a trace.
func Traceparent(ctx context.Context) string {
	if found, ok := Trace(ctx); ok {
		return found.Traceparent()
	}
	return ""
}

// Continue puts the context into the trace that a caller began, or into a new one when the header is absent or broken.
func Continue(ctx context.Context, traceparent string) context.Context {
	found, ok := ParseTraceparent(traceparent)
	if !ok {
		found = newTrace()
	}
	return context.WithValue(ctx, traceKey{}, &found)
}

// ParseTraceparent reads the W3C header; false for one that the recommendation says to ignore.
func ParseTraceparent(text string) (TraceContext, bool) {
	var made TraceContext
	if len(text) < traceparentLength || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return made, false
	}
	version, flags := text[:2], text[53:55]
	if rest := text[traceparentLength:]; rest != "" && (version == "00" || rest[0] != '-') {
		return made, false
	}
	var said [1]byte
	whole := decode(said[:], version) && version != "ff" &&
		decode(made.TraceID[:], text[3:35]) && decode(made.SpanID[:], text[36:52]) && decode(said[:], flags)
	if !whole || made.TraceID == [16]byte{} || made.SpanID == [8]byte{} {
		return TraceContext{}, false
	}
	made.Sampled = said[0]&1 == 1
	return made, true
}

// Span is a piece of work within a trace.
type Span struct {
	// Context is what calls made within the span name as their parent.
	Context TraceContext
	record  *recording
}

// Start begins a span below the context's, or the first one of a new trace. End must be called.
func Start(ctx context.Context, name string, kind Kind) (context.Context, *Span) {
	return StartLinked(ctx, name, kind)
}

// StartLinked is Start for work that others, in traces of their own, led to.
func StartLinked(ctx context.Context, name string, kind Kind, causes ...TraceContext) (context.Context, *Span) {
	parent, within := Trace(ctx)
	if !within {
		parent = newTrace()
	}
	return startBelow(ctx, parent, name, kind, causes)
}

// StartServer is Continue and Start in one, for a request that came from outside: who sent it says which trace it is, but not whether that is
// recorded.
func StartServer(ctx context.Context, traceparent, name string) (context.Context, *Span) {
	parent, ok := ParseTraceparent(traceparent)
	if ok {
		parent.Sampled = takesOutsiders()
	} else {
		parent = newTrace()
	}
	return startBelow(ctx, parent, name, KindServer, nil)
}

func startBelow(
	ctx context.Context, parent TraceContext, name string, kind Kind, causes []TraceContext,
) (context.Context, *Span) {
	span := &Span{}
	if to := exporting.Load(); to != nil && (parent.Sampled || traceRate.Load() == nil) {
		span.Context, span.record = to.start(ctx, name, kind, parent, causes)
	} else {
		span.Context = parent
		span.Context.SpanID = newSpanID()
	}
	return context.WithValue(ctx, traceKey{}, &span.Context), span
}

// Set adds an attribute.
func (s *Span) Set(name, value string) {
	if s.record != nil {
		s.record.set(name, value)
	}
}

// End ends the span; with an error it is marked as failed.
func (s *Span) End(err error) {
	if s.record != nil {
		s.record.end(err)
	}
}

// takesOutsiders tells whether a trace that somebody outside began is recorded: where no rate is set, the SDK's sampler decides as if it began here.
func takesOutsiders() bool {
	limit, to := traceRate.Load(), exporting.Load()
	if limit == nil && to != nil {
		return to.takes()
	}
	return limit.takes()
}

func newTrace() TraceContext {
	made := TraceContext{Sampled: traceRate.Load().takes()}
	// Ids need to be unique, not secret.
	binary.BigEndian.PutUint64(made.TraceID[:8], rand.Uint64())
	binary.BigEndian.PutUint64(made.TraceID[8:], rand.Uint64()|1)
	return made
}

func newSpanID() (made [8]byte) {
	binary.BigEndian.PutUint64(made[:], rand.Uint64()|1)
	return made
}

func decode(to []byte, text string) bool {
	for _, sign := range []byte(text) {
		if (sign < '0' || sign > '9') && (sign < 'a' || sign > 'f') {
			return false
		}
	}
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}
