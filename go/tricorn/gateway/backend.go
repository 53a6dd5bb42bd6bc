package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/wire"
)

// backend asks the methods for those who came in from outside.
type backend struct {
	conn  grpc.ClientConnInterface
	cache exchange.Cache // nil: nothing is kept
}

// call asks a unary method within its deadline.
func (b *backend) call(
	ctx context.Context, policy *contract.Policy, identity *wire.Identity, about map[string]string, message proto.Message,
) (proto.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, policy.Deadline)
	defer cancel()
	answer := policy.NewAnswer()
	if err := b.conn.Invoke(inside(ctx, identity, about), "/"+policy.FullName, message, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// wrote says that a call with effects ended, so that whoever made it reads what it changed.
func (b *backend) wrote(x *exchange.Exchange) {
	if user := x.UserID(); user != "" && b.cache != nil {
		b.cache.Wrote(user)
	}
}

// open asks a method that answers by a stream. The context ends it.
func (b *backend) open(
	ctx context.Context, policy *contract.Policy, identity *wire.Identity, message proto.Message,
) (func() (proto.Message, error), error) {
	description := &grpc.StreamDesc{StreamName: policy.Name, ServerStreams: true}
	stream, err := b.conn.NewStream(inside(ctx, identity, nil), description, "/"+policy.FullName)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(message); err != nil && !errors.Is(err, io.EOF) { // the reason comes with the first answer
		return nil, fmt.Errorf("send the request of %s: %w", policy.FullName, err)
	}
	if err := stream.CloseSend(); err != nil {
		return nil, fmt.Errorf("end the request of %s: %w", policy.FullName, err)
	}
	return func() (proto.Message, error) {
		answer := policy.NewAnswer()
		if err := stream.RecvMsg(answer); err != nil {
			return nil, err
		}
		return answer, nil
	}, nil
}

// inside makes what came from outside a call of the application.
func inside(ctx context.Context, identity *wire.Identity, about map[string]string) context.Context {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Time{}
	}
	return wire.WithCall(ctx, wire.Call{Identity: identity, Deadline: deadline, Metadata: about})
}
