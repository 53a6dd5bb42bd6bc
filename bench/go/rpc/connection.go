// Package rpc sends messages that are encoded already to one method over gRPC.
package rpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"bench/load"
)

// Target is a method behind some connections that callers share.
type Target struct {
	method      string
	connections []*grpc.ClientConn
}

// As the wire's own clients have it: nothing is kept for a retry, and nobody asks for pings to find out how much may be on its way.
const windowBytes = 1024 * 1024

// NewTarget connects to unix:PATH or HOST:PORT; the method is /SERVICE/METHOD.
func NewTarget(address, method string, connections int) (*Target, error) {
	target := &Target{method: method}
	for range connections {
		connection, err := grpc.NewClient(
			address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithAuthority("localhost"),
			grpc.WithDisableRetry(),
			grpc.WithStaticStreamWindowSize(windowBytes),
			grpc.WithStaticConnWindowSize(windowBytes),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})),
		)
		if err != nil {
			target.Close()
			return nil, fmt.Errorf("connecting to %s: %w", address, err)
		}
		target.connections = append(target.connections, connection)
	}
	return target, nil
}

// Close ends the connections.
func (t *Target) Close() {
	for _, connection := range t.connections {
		_ = connection.Close() // its calls are over
	}
}

// Callers makes so many, spread over the connections.
func (t *Target) Callers(count int) []load.Caller {
	callers := make([]load.Caller, count)
	for number := range callers {
		callers[number] = &caller{t.method, t.connections[number%len(t.connections)]}
	}
	return callers
}

type caller struct {
	method     string
	connection *grpc.ClientConn
}

// Call implements load.Caller; a status is gRPC's code.
func (c *caller) Call(ctx context.Context, request []byte) load.Answer {
	var answer []byte
	err := c.connection.Invoke(ctx, c.method, request, &answer)
	return load.Answer{Status: int(status.Code(err)), OK: err == nil}
}

// Close implements load.Caller: the target's connections are the callers' together.
func (c *caller) Close() {}

// raw passes bytes through.
type raw struct{}

var _ encoding.CodecV2 = raw{}

// Marshal implements encoding.CodecV2.
func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(append([]byte(nil), message.([]byte)...))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

// Name implements encoding.CodecV2.
func (raw) Name() string { return "proto" }
