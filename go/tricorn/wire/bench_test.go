package wire_test

import (
	"context"
	"testing"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/telemetry"
	"tricorn/wire"
)

// BenchmarkACallHere is what the wire adds to a handler of the same process that does nothing.
func BenchmarkACallHere(b *testing.B) {
	service := wire.NewService("go", telemetry.NewStats())
	service.RegisterMethods(&toy.Desc, saying("here"), "Say")
	directory := wire.NewDirectory(service, telemetry.NewStats())
	parsed, err := wire.ParseBindings([]byte(`{"version": 1, "generation": 1, "bindings": {"toy.echo.v1.EchoService": {"shares": {"go": 10000}}}}`))
	if err != nil {
		b.Fatal(err)
	}
	directory.Update(parsed, wire.Addresses{toy.Service: {reference: {nowhere}}})
	b.Cleanup(func() { _ = directory.Close() })
	client := wire.NewClient(directory, telemetry.NewStats(), 0)
	method, err := contract.MethodPolicy(say)
	if err != nil {
		b.Fatal(err)
	}
	request := toy.Request("ada", "", 0)
	ctx := telemetry.Continue(context.Background(), "")

	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Call(ctx, method, request); err != nil {
			b.Fatal(err)
		}
	}
}
