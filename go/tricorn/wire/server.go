package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"

	"tricorn/contract"
	"tricorn/telemetry"
)

// MaxMessageBytes is the largest message that is taken or sent.
const MaxMessageBytes = 8 * 1024 * 1024

const (
	// Goroutines that stay between calls, with the stack that calls need: growing it anew would be a tenth of a small call. More calls than these
	// at once get goroutines of their own.
	stayingWorkers = 128
	// What may be on its way to a process unread. Fixed, since finding it out takes a ping and its answer with nearly every message.
	windowBytes = 1024 * 1024
)

// Server serves a Service by gRPC, with health and reflection. The caller's identity is taken from metadata: whoever can reach the address
// is believed, so it is never a public one.
type Server struct {
	service *Service
	grpc    *grpc.Server
	health  *health.Server
	others  *lookersOn
	stop    sync.Once
}

// NewServer makes a server of everything that is registered by now.
func NewServer(service *Service) *Server {
	made := &Server{service: service, health: health.NewServer(), others: &lookersOn{make(chan struct{})}}
	made.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.MaxHeaderListSize(MaxMessageBytes),
		grpc.NumStreamWorkers(stayingWorkers),
		grpc.StaticStreamWindowSize(windowBytes),
		grpc.StaticConnWindowSize(windowBytes),
		grpc.StreamInterceptor(made.others.intercept(service.Hosts)),
		grpc.ForceServerCodecV2(newFrameCodec()),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			fullName, _ := grpc.MethodFromServerStream(stream)
			return unhosted(fullName).GRPCStatus().Err()
		}),
	)
	for _, name := range service.Services() {
		made.grpc.RegisterService(made.describe(name), struct{}{})
	}
	healthpb.RegisterHealthServer(made.grpc, made.health)
	reflection.Register(made.grpc)
	return made
}

// Serve answers on the listener, which it closes, until Stop; every hosted contract is reported as serving from now on.
func (s *Server) Serve(listener net.Listener) error {
	for _, name := range append(s.service.Services(), "") {
		s.health.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve %v: %w", listener.Addr(), err)
	}
	return nil
}

// Stop refuses new calls and lets those in flight end; the ones that are left when the context ends are cut off, and false is given.
func (s *Server) Stop(ctx context.Context) bool {
	s.stop.Do(func() {
		close(s.others.ending)
		s.health.Shutdown()
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return false
	}
}

func (s *Server) describe(service string) *grpc.ServiceDesc {
	made := &grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
	for _, each := range s.service.methods {
		if each.policy.Service != service {
			continue
		}
		made.Metadata = each.policy.Descriptor.ParentFile().Path()
		if each.unary != nil {
			made.Methods = append(made.Methods, grpc.MethodDesc{MethodName: each.policy.Name, Handler: s.unary(each.policy)})
		} else {
			made.Streams = append(made.Streams, grpc.StreamDesc{
				StreamName: each.policy.Name, Handler: s.stream(each.policy),
				ServerStreams: each.policy.ServerStreaming, ClientStreams: each.policy.ClientStreaming,
			})
		}
	}
	return made
}

func (s *Server) unary(policy *contract.Policy) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		ctx, span := entered(ctx, policy)
		answer, err := s.service.unary(ctx, policy.FullName, func(request any) error {
			return receive(policy, decode, request)
		})
		span.End(err)
		return answer, shown(err)
	}
}

func (s *Server) stream(policy *contract.Policy) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		ctx, span := entered(stream.Context(), policy)
		err := s.service.answers(ctx, policy.FullName, &frameStream{stream, policy})
		span.End(err)
		return shown(err)
	}
}

func entered(ctx context.Context, policy *contract.Policy) (context.Context, *telemetry.Span) {
	sent, _ := metadata.FromIncomingContext(ctx)
	call, traceparent := incoming(ctx, policy, sent)
	return telemetry.Start(telemetry.Continue(WithCall(ctx, call), traceparent), policy.FullName, telemetry.KindServer)
}

func shown(err error) error {
	if err == nil {
		return nil
	}
	var refusal *contract.Refusal
	if !errors.As(err, &refusal) {
		refusal = contract.InternalError()
	}
	return refusal.GRPCStatus().Err()
}

// target is an address as grpc.NewClient takes it.
func target(address string) string {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix://" + path
	}
	return "passthrough:///" + address
}
