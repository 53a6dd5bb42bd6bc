package telemetry_test

import (
	"testing"

	"tricorn/telemetry"
)

func FuzzParseTraceparent(f *testing.F) {
	f.Add(parent)
	f.Add("01-" + traceID + "-b7ad6b7169203331-00-more")
	f.Fuzz(func(t *testing.T, text string) {
		found, ok := telemetry.ParseTraceparent(text)
		if !ok {
			return
		}
		if again, ok := telemetry.ParseTraceparent(found.Traceparent()); !ok || again != found {
			t.Errorf("%q was read as %v, and that as %v", text, found, again)
		}
	})
}
