package wire

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/telemetry"
)

// NewStream calls a method that answers with a stream, or is asked by one, for generated clients. Streams are never repeated; until its
// first answer one whose request is a single message may fall back to the reference. The stream ends with the context.
func (c *Client) NewStream(
	ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption,
) (grpc.ClientStream, error) {
	policy, err := contract.MethodPolicy(method)
	if err != nil {
		return nil, unhosted(method)
	}
	ctx, cancel, err := outgoing(ctx, policy)
	if err != nil {
		return nil, err
	}
	made := &routed{client: c, policy: policy, cancel: cancel}
	made.ctx, made.span = telemetry.Start(ctx, policy.FullName, telemetry.KindClient)
	if policy.ClientStreaming {
		if err := made.open(nil); err != nil {
			return nil, made.end(err)
		}
	}
	return made, nil
}

// routed is a stream whose way is chosen by its first request.
type routed struct {
	grpc.ClientStream
	client  *Client
	policy  *contract.Policy
	ctx     context.Context
	cancel  context.CancelFunc
	span    *telemetry.Span
	ended   sync.Once
	route   *route
	request proto.Message
	begun   bool
}

// Context is the stream's own, from before its way is chosen.
func (r *routed) Context() context.Context { return r.ctx }

func (r *routed) SendMsg(message any) error {
	if r.ClientStream != nil {
		return r.ClientStream.SendMsg(message)
	}
	request, ok := message.(proto.Message)
	if !ok {
		return r.end(errors.New("what is sent is no message"))
	}
	r.request = request
	if err := r.open(request); err != nil {
		return r.end(err)
	}
	return nil
}

// CloseSend says that no further request comes. What comes as one message was closed when it was sent.
func (r *routed) CloseSend() error {
	if r.request != nil || r.ClientStream == nil {
		return nil
	}
	return r.ClientStream.CloseSend()
}

func (r *routed) RecvMsg(message any) error {
	if r.ClientStream == nil {
		return r.end(errors.New("nothing was sent yet"))
	}
	err := r.ClientStream.RecvMsg(message)
	if err == nil {
		r.first(nil)
		r.begun = true
		if !r.policy.ServerStreaming {
			_ = r.end(nil) // no other answer comes
		}
		return nil
	}
	if errors.Is(err, io.EOF) {
		r.first(nil)
		return r.end(io.EOF)
	}
	refusal := fromError(r.ctx, err)
	r.first(refusal)
	if r.begun || r.request == nil || r.ctx.Err() != nil || !fallsBack(r.policy, refusal, r.route) {
		return r.end(refusal)
	}
	if err := r.byReference(cause(refusal)); err != nil {
		return r.end(err)
	}
	return r.RecvMsg(message)
}

// first tells the breaker how the stream began.
func (r *routed) first(refusal *contract.Refusal) {
	if !r.begun {
		r.client.breaker(r.policy, r.route).after(refusal)
	}
}

func (r *routed) open(request proto.Message) error {
	route, err := r.client.directory.route(r.policy, request)
	if err != nil {
		return err
	}
	if err := r.begin(route); err != nil {
		refusal := FromError(err)
		if request == nil || !fallsBack(r.policy, refusal, route) {
			return refusal
		}
		return r.byReference(cause(refusal))
	}
	return nil
}

func (r *routed) begin(route *route) error {
	r.route = route
	if refusal := r.client.breaker(r.policy, route).before(); refusal != nil {
		return refusal
	}
	stream, err := route.channel.stream(r.ctx, r.policy)
	if err == nil && r.request != nil {
		if err = stream.SendMsg(r.request); err == nil || errors.Is(err, io.EOF) {
			err = stream.CloseSend()
		}
	}
	if err != nil {
		refusal := FromError(err)
		r.client.breaker(r.policy, route).after(refusal)
		return refusal
	}
	r.ClientStream = stream
	return nil
}

func (r *routed) byReference(why string) error {
	done, refusal := r.client.fallbacks.begin(r.ctx, r.policy, r.route.implementation, why)
	if refusal != nil {
		return refusal
	}
	done() // a stream may live for an hour: it is counted, and holds no place
	return r.begin(r.route.reference)
}

func (r *routed) end(err error) error {
	r.ended.Do(func() {
		failed := err
		if errors.Is(err, io.EOF) {
			failed = nil
		}
		r.span.End(failed)
		r.cancel()
	})
	return err
}
