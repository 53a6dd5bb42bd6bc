package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"google.golang.org/grpc"
	connecting "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/telemetry"
)

// channel is one way to reach an implementation. The context carries the call and its deadline.
type channel interface {
	// target names it in logs and breakers.
	target() string
	// unary gives the answer, in into if that is not nil.
	unary(ctx context.Context, policy *contract.Policy, request, into proto.Message) (proto.Message, error)
	stream(ctx context.Context, policy *contract.Policy) (grpc.ClientStream, error)
}

// remote is the way to another process, by gRPC over a unix socket or TCP.
type remote struct {
	address  string
	conn     *grpc.ClientConn
	upstream *upstream
}

func dial(address string, most uint) (*remote, error) {
	conn, err := grpc.NewClient(target(address),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageBytes), grpc.MaxCallSendMsgSize(MaxMessageBytes)),
		// A refusal names every broken rule in its trailing metadata.
		grpc.WithMaxHeaderListSize(MaxMessageBytes),
		grpc.WithStaticStreamWindowSize(windowBytes),
		grpc.WithStaticConnWindowSize(windowBytes),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: connecting.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
			},
			MinConnectTimeout: time.Second,
		}),
		// Retries are the wire's own: it knows which calls may be repeated.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		return nil, fmt.Errorf("make a channel to %s: %w", address, err)
	}
	return &remote{address: address, conn: conn, upstream: newUpstream(most)}, nil
}

func (r *remote) target() string { return r.address }

func (r *remote) unary(
	ctx context.Context, policy *contract.Policy, request, into proto.Message,
) (proto.Message, error) {
	if refusal := r.upstream.enter(policy.Name); refusal != nil {
		return nil, refusal
	}
	defer r.upstream.leave()
	if into == nil {
		into = policy.NewAnswer()
	}
	if err := r.conn.Invoke(Outgoing(ctx), "/"+policy.FullName, request, into); err != nil {
		return nil, fromError(ctx, err)
	}
	return into, nil
}

func (r *remote) stream(ctx context.Context, policy *contract.Policy) (grpc.ClientStream, error) {
	described := &grpc.StreamDesc{
		StreamName: policy.Name, ServerStreams: policy.ServerStreaming, ClientStreams: policy.ClientStreaming,
	}
	stream, err := r.conn.NewStream(Outgoing(ctx), described, "/"+policy.FullName)
	if err != nil {
		return nil, fromError(ctx, err)
	}
	return &refusing{stream, ctx}, nil
}

// refusing gives refusals for whatever goes wrong on a stream.
type refusing struct {
	grpc.ClientStream
	ctx context.Context // its caller's: the stream's own is cancelled by any end
}

func (r *refusing) RecvMsg(message any) error { return r.refused(r.ClientStream.RecvMsg(message)) }

func (r *refusing) SendMsg(message any) error { return r.refused(r.ClientStream.SendMsg(message)) }

func (r *refusing) refused(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fromError(r.ctx, err)
}

// counted counts what goes through another channel as calls of an implementation; their time includes the way.
type counted struct {
	channel
	implementation string
	stats          *telemetry.Stats
}

func (c *counted) unary(
	ctx context.Context, policy *contract.Policy, request, into proto.Message,
) (proto.Message, error) {
	started := time.Now()
	answer, err := c.channel.unary(ctx, policy, request, into)
	c.stats.Observe(policy.FullName, c.implementation, time.Since(started), isDefect(err))
	return answer, err
}

// local is the way to an implementation in this process. Requests are copied, so that nobody changes what another holds; answers are given
// as they are when there is nothing to put them into.
type local struct{ service *Service }

func (*local) target() string { return "this process" }

func (l *local) unary(
	ctx context.Context, policy *contract.Policy, request, into proto.Message,
) (proto.Message, error) {
	answer, err := l.service.unary(ctx, policy.FullName, func(to any) error {
		proto.Merge(to.(proto.Message), request)
		return nil
	})
	if err != nil {
		return nil, err
	}
	made, ok := answer.(proto.Message)
	if !ok || into == nil {
		return made, nil
	}
	proto.Merge(into, made)
	return into, nil
}

func (l *local) stream(ctx context.Context, policy *contract.Policy) (grpc.ClientStream, error) {
	return startLocalStream(ctx, l.service, policy), nil
}

// seconds of nothing: a deadline this far is none.
const noLimit = time.Duration(math.MaxInt64)
