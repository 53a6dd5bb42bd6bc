package wire

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// lastWord is how long whoever looks on may take to hear that a server stops.
const lastWord = time.Second

// lookersOn are streams that belong to no contract: those of health and reflection, which stay open for as long as their callers like, and
// would hold a server that stops.
type lookersOn struct{ ending chan struct{} }

func (l *lookersOn) intercept(hosts func(string) bool) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		if hosts(info.FullMethod[1:]) {
			return handle(server, stream)
		}
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		go func() {
			select {
			case <-l.ending:
				patience := time.NewTimer(lastWord)
				defer patience.Stop()
				select {
				case <-patience.C:
					cancel()
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		}()
		return handle(server, &lookerOn{stream, ctx, cancel, l.ending})
	}
}

// lookerOn is a stream that ends once it was told something while its server stops, or a moment later.
type lookerOn struct {
	grpc.ServerStream
	ctx    context.Context
	cancel context.CancelFunc
	ending chan struct{}
}

// Context ends when the server stops.
func (l *lookerOn) Context() context.Context { return l.ctx }

// SendMsg sends the last word, or one before.
func (l *lookerOn) SendMsg(message any) error {
	err := l.ServerStream.SendMsg(message)
	select {
	case <-l.ending:
		l.cancel()
	default:
	}
	return err
}

// RecvMsg waits for what is asked next, or for the end.
func (l *lookerOn) RecvMsg(message any) error {
	received := make(chan error, 1)
	go func() { received <- l.ServerStream.RecvMsg(message) }()
	select {
	case err := <-received:
		return err
	case <-l.ctx.Done():
		return status.Error(codes.Unavailable, "this process is ending")
	}
}
