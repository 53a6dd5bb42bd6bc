package telemetry

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const scope = "tricorn"

// exporter sends spans in batches, in the background; a collector that does not answer costs spans, never requests.
type exporter struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

type recording struct{ span trace.Span }

type rootKey struct{}

// ids gives a trace that was begun without a span the id that it has already.
type ids struct{}

// NewIDs gives the ids of a trace's first span.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, ok := ctx.Value(rootKey{}).(trace.TraceID)
	if !ok {
		id = newTrace().TraceID
	}
	return id, newSpanID()
}

// NewSpanID gives the id of a further span.
func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return newSpanID() }

// ConfigureTracing exports spans if OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set, and tells whether they will be. The other standard
// OTEL_* variables (headers, sampler, batch sizes, resource attributes) hold as the SDK says. With TRICORN_TRACE_RATE, so many of the traces that
// begin here or come from outside are recorded in a second; those that other processes of the application began are as they say.
func ConfigureTracing(ctx context.Context, process string) (bool, error) {
	asked := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if asked == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" || exporting.Load() != nil {
		return exporting.Load() != nil, nil
	}
	way, err := otlptracehttp.New(ctx)
	if err != nil {
		return false, fmt.Errorf("make the exporter of spans: %w", err)
	}
	named, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", process)), resource.WithFromEnv())
	if err != nil {
		return false, fmt.Errorf("read the resource of spans: %w", err)
	}
	log := Logger("tricorn.telemetry")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("spans could not be sent", "problem", err.Error())
	}))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(way), sdktrace.WithResource(named),
		sdktrace.WithIDGenerator(ids{}))
	if limit, err := strconv.ParseFloat(os.Getenv("TRICORN_TRACE_RATE"), 64); err == nil {
		traceRate.Store(newRate(limit, time.Now))
	}
	exporting.Store(&exporter{provider: provider, tracer: provider.Tracer(scope)})
	return true, nil
}

// ShutdownTracing sends what is still queued, for as long as the context lasts, then stops exporting.
func ShutdownTracing(ctx context.Context) error {
	to := exporting.Swap(nil)
	traceRate.Store(nil)
	if to == nil {
		return nil
	}
	if err := to.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

func (e *exporter) start(
	ctx context.Context, name string, kind Kind, parent TraceContext, causes []TraceContext,
) (TraceContext, *recording) {
	if parent.SpanID != [8]byte{} {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent.span())
	} else if parent.TraceID != [16]byte{} {
		// The SDK takes a trace id only together with a span's, so the ids of a trace that has no span yet are made here.
		ctx = context.WithValue(ctx, rootKey{}, trace.TraceID(parent.TraceID))
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKind(kind))}
	for _, cause := range causes {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: cause.span()}))
	}
	_, span := e.tracer.Start(ctx, name, options...)
	ids := span.SpanContext()
	return TraceContext{TraceID: ids.TraceID(), SpanID: ids.SpanID(), Sampled: ids.IsSampled()}, &recording{span}
}

// takes tells what the sampler says of a trace that begins now; the SDK tells it only of spans.
func (e *exporter) takes() bool {
	_, probe := e.tracer.Start(context.Background(), "")
	return probe.SpanContext().IsSampled()
}

func (r *recording) set(name, value string) { r.span.SetAttributes(attribute.String(name, value)) }

func (r *recording) end(err error) {
	if err != nil {
		r.span.RecordError(err, trace.WithTimestamp(time.Now()))
		r.span.SetStatus(codes.Error, err.Error())
	}
	r.span.End()
}

func (t TraceContext) span() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: t.TraceID, SpanID: t.SpanID, TraceFlags: trace.TraceFlags(0).WithSampled(t.Sampled),
	})
}
