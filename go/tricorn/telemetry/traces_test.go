package telemetry_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"tricorn/telemetry"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	parent  = "00-" + traceID + "-b7ad6b7169203331-01"
)

func TestATraceparentIsReadAsW3CSays(t *testing.T) {
	for text, ok := range map[string]bool{
		parent:                                   true,
		"00-" + traceID + "-b7ad6b7169203331-00": true,
		"01-" + traceID + "-b7ad6b7169203331-01-more": true,
		"":                false,
		parent + "-x":     false,
		parent + "0":      false,
		"ff" + parent[2:]: false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false,
		"00-" + traceID + "-0000000000000000-01":                  false,
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": false,
		"00-" + traceID + "_b7ad6b7169203331-01":                  false,
	} {
		_, found := telemetry.ParseTraceparent(text)
		assert.Equal(t, ok, found, text)
	}
	read, _ := telemetry.ParseTraceparent(parent)
	assert.Equal(t, parent, read.Traceparent())
}

func TestASpanIsOfItsCallersTraceAndHasAnIDOfItsOwn(t *testing.T) {
	ctx, span := telemetry.Start(telemetry.Continue(context.Background(), parent), "work", telemetry.KindServer)
	defer span.End(nil)

	found, ok := telemetry.Trace(ctx)

	assert.True(t, ok)
	assert.Equal(t, span.Context, found)
	assert.Equal(t, traceID, hex.EncodeToString(found.TraceID[:]))
	assert.NotEqual(t, parent, telemetry.Traceparent(ctx))
	assert.NotZero(t, found.SpanID)
}

func TestWhoAsksFromOutsideSaysWhichTraceItIsAndNotWhetherItIsRecorded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for variable, want := range map[string][]bool{
		"TRICORN_TRACE_RATE=0.000001":                {true, false, false}, // the first one, and a second in eleven days
		"OTEL_TRACES_SAMPLER=parentbased_always_off": {false, false, false},
		"OTEL_TRACES_SAMPLER=parentbased_always_on":  {true, true, true},
	} {
		t.Run(variable, func(t *testing.T) {
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
			t.Setenv(name, value)
			_, err := telemetry.ConfigureTracing(t.Context(), "toy")
			require.NoError(t, err)
			var sampled []bool
			for _, flags := range []string{"00", "01", "01"} {
				_, span := telemetry.StartServer(t.Context(), parent[:53]+flags, "GET")
				span.End(nil)
				sampled = append(sampled, span.Context.Sampled)
				assert.Equal(t, traceID, hex.EncodeToString(span.Context.TraceID[:]))
			}
			within, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			require.NoError(t, telemetry.ShutdownTracing(within))

			assert.Equal(t, want, sampled)
		})
	}
}

func TestABrokenHeaderBeginsANewTrace(t *testing.T) {
	one, two := telemetry.Continue(context.Background(), "rubbish"), telemetry.Continue(context.Background(), "")

	first, _ := telemetry.Trace(one)
	second, _ := telemetry.Trace(two)

	assert.NotEqual(t, first.TraceID, second.TraceID)
	assert.Zero(t, first.SpanID)
	assert.Empty(t, telemetry.Traceparent(context.Background()))
}

func TestSpansReachACollectorWithTheirParents(t *testing.T) {
	received := make(chan *collector.ExportTraceServiceRequest, 8)
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		assert.NoError(t, err)
		sent := &collector.ExportTraceServiceRequest{}
		assert.NoError(t, proto.Unmarshal(body, sent))
		received <- sent
		answer.WriteHeader(http.StatusOK)
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	configured, err := telemetry.ConfigureTracing(context.Background(), "toy")
	require.NoError(t, err)
	require.True(t, configured)

	ctx, outer := telemetry.Start(telemetry.Continue(context.Background(), parent), "outer", telemetry.KindServer)
	_, inner := telemetry.StartLinked(ctx, "inner", telemetry.KindClient, outer.Context)
	inner.Set("colour", "blue")
	inner.End(errors.New("no luck"))
	outer.End(nil)
	root := telemetry.Continue(context.Background(), "")
	began, _ := telemetry.Trace(root)
	_, alone := telemetry.Start(root, "alone", telemetry.KindInternal)
	alone.End(nil)
	within, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, telemetry.ShutdownTracing(within))

	spans := map[string]*trace.Span{}
	close(received)
	for each := range received {
		assert.Equal(t, "toy", each.GetResourceSpans()[0].GetResource().GetAttributes()[0].GetValue().GetStringValue())
		for _, span := range each.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
			spans[span.GetName()] = span
		}
	}
	require.Len(t, spans, 3)
	assert.Equal(t, "b7ad6b7169203331", hex.EncodeToString(spans["outer"].GetParentSpanId()))
	assert.Equal(t, spans["outer"].GetSpanId(), spans["inner"].GetParentSpanId())
	assert.Equal(t, traceID, hex.EncodeToString(spans["inner"].GetTraceId()))
	assert.Equal(t, trace.Span_SPAN_KIND_SERVER, spans["outer"].GetKind())
	assert.Equal(t, trace.Span_SPAN_KIND_CLIENT, spans["inner"].GetKind())
	assert.Equal(t, trace.Status_STATUS_CODE_ERROR, spans["inner"].GetStatus().GetCode())
	assert.Equal(t, spans["outer"].GetSpanId(), spans["inner"].GetLinks()[0].GetSpanId())
	assert.Empty(t, spans["alone"].GetParentSpanId())
	assert.Equal(t, began.TraceID[:], spans["alone"].GetTraceId(), "logs named the trace before its first span")
}
