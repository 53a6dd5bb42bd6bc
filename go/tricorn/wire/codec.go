package wire

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
)

// frameCodec is gRPC's own for messages, and leaves frames as they come: gRPC answers INTERNAL for bytes that are no message, before
// anybody is asked.
type frameCodec struct{ encoding.CodecV2 }

// frame is a request whose bytes nobody has read yet.
type frame struct{ buffer mem.Buffer }

func newFrameCodec() frameCodec { return frameCodec{encoding.GetCodecV2(protocodec.Name)} }

// Unmarshal reads a message, or keeps the bytes of a frame.
func (c frameCodec) Unmarshal(data mem.BufferSlice, to any) error {
	if kept, ok := to.(*frame); ok {
		kept.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
		return nil
	}
	return c.CodecV2.Unmarshal(data, to)
}

// receive reads one request with what gRPC gives.
func receive(policy *contract.Policy, from func(any) error, to any) error {
	message, ok := to.(proto.Message)
	if !ok {
		return fmt.Errorf("a request of %s is a %T, no message", policy.Name, to)
	}
	var kept frame
	if err := from(&kept); err != nil {
		return err
	}
	defer kept.buffer.Free()
	if err := proto.Unmarshal(kept.buffer.ReadOnlyData(), message); err != nil {
		return malformed(policy)
	}
	return nil
}

// frameStream reads requests as frames.
type frameStream struct {
	grpc.ServerStream
	policy *contract.Policy
}

// RecvMsg reads the next request.
func (s *frameStream) RecvMsg(to any) error { return receive(s.policy, s.ServerStream.RecvMsg, to) }

func malformed(policy *contract.Policy) *contract.Refusal {
	return contract.Refusef(contract.ReasonInvalidArgument, "the request of %s is no %s",
		policy.Name, policy.Descriptor.Input().FullName())
}
