package wire

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
)

// localStream is both ends of a stream within this process; every message is copied.
type localStream struct {
	ctx      context.Context
	requests chan proto.Message
	answers  chan proto.Message
	sent     sync.Once
	over     chan struct{}
	err      error
}

func startLocalStream(ctx context.Context, service *Service, policy *contract.Policy) grpc.ClientStream {
	made := &localStream{
		ctx: ctx, requests: make(chan proto.Message), answers: make(chan proto.Message), over: make(chan struct{}),
	}
	go func() {
		defer close(made.over)
		made.err = service.answers(ctx, policy.FullName, (*localServer)(made))
	}()
	return made
}

func (s *localStream) Header() (metadata.MD, error) { return metadata.MD{}, nil }
func (s *localStream) Trailer() metadata.MD         { return metadata.MD{} }
func (s *localStream) Context() context.Context     { return s.ctx }

func (s *localStream) CloseSend() error {
	s.sent.Do(func() { close(s.requests) })
	return nil
}

func (s *localStream) SendMsg(message any) error {
	select {
	case s.requests <- proto.Clone(message.(proto.Message)):
		return nil
	case <-s.over:
		return io.EOF
	case <-s.ctx.Done():
		return FromError(s.ctx.Err())
	}
}

func (s *localStream) RecvMsg(message any) error {
	select {
	case answer := <-s.answers:
		proto.Merge(message.(proto.Message), answer)
		return nil
	case <-s.over:
		if s.err != nil {
			return s.err
		}
		return io.EOF
	case <-s.ctx.Done():
		return FromError(s.ctx.Err())
	}
}

type localServer localStream

func (s *localServer) SetHeader(metadata.MD) error  { return nil }
func (s *localServer) SendHeader(metadata.MD) error { return nil }
func (s *localServer) SetTrailer(metadata.MD)       {}
func (s *localServer) Context() context.Context     { return s.ctx }

func (s *localServer) SendMsg(message any) error {
	select {
	case s.answers <- proto.Clone(message.(proto.Message)):
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *localServer) RecvMsg(message any) error {
	select {
	case request, ok := <-s.requests:
		if !ok {
			return io.EOF
		}
		proto.Merge(message.(proto.Message), request)
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}
