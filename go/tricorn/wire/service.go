package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/data"
	"tricorn/telemetry"
)

const serverError = 500

// Service is what a process hosts, by method, and the server's side of a call, the same in process and over gRPC: validation, the
// deadline, errors of the vocabulary only. Everything is registered before the first call. It is a grpc.ServiceRegistrar for generated
// packages.
type Service struct {
	implementation string
	stats          *telemetry.Stats
	methods        map[string]*hosted
	problems       []error
}

type hosted struct {
	policy *contract.Policy
	server any
	unary  grpc.MethodHandler
	stream grpc.StreamHandler
}

// NewService makes one that hosts nothing yet. Implementation is the language's name in bindings.
func NewService(implementation string, stats *telemetry.Stats) *Service {
	return &Service{implementation: implementation, stats: stats, methods: map[string]*hosted{}}
}

// RegisterService hosts all methods of a contract. What is wrong with it is told by Err.
func (s *Service) RegisterService(desc *grpc.ServiceDesc, server any) {
	var names []string
	for _, method := range desc.Methods {
		names = append(names, method.MethodName)
	}
	for _, stream := range desc.Streams {
		names = append(names, stream.StreamName)
	}
	s.RegisterMethods(desc, server, names...)
}

// RegisterMethods hosts some methods of a contract, by their names in it. What is wrong with them is told by Err.
func (s *Service) RegisterMethods(desc *grpc.ServiceDesc, server any, names ...string) {
	for _, name := range names {
		if err := s.register(desc, server, name); err != nil {
			s.problems = append(s.problems, err)
		}
	}
}

// Err tells what could not be hosted.
func (s *Service) Err() error { return errors.Join(s.problems...) }

// Implementation is the language's name in bindings.
func (s *Service) Implementation() string { return s.implementation }

// Hosts tells whether "package.Service/Method" is hosted here.
func (s *Service) Hosts(fullName string) bool { return s.methods[fullName] != nil }

// Services names the contracts of which something is hosted here.
func (s *Service) Services() []string {
	var names []string
	for _, each := range s.methods {
		names = append(names, each.policy.Service)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Warm prepares the rules of all requests, so that the first calls do not wait for that.
func (s *Service) Warm() error {
	for _, each := range s.methods {
		if err := contract.Warm(each.policy.NewRequest()); err != nil {
			return fmt.Errorf("prepare the rules of %s: %w", each.policy.FullName, err)
		}
	}
	return nil
}

func (s *Service) register(desc *grpc.ServiceDesc, server any, name string) error {
	policy, err := contract.MethodPolicy(desc.ServiceName + "/" + name)
	if err != nil {
		return err
	}
	if s.methods[policy.FullName] != nil {
		return fmt.Errorf("%s is hosted twice in this process", policy.FullName)
	}
	made := &hosted{policy: policy, server: server}
	for _, method := range desc.Methods {
		if method.MethodName == name {
			made.unary = method.Handler
		}
	}
	for _, stream := range desc.Streams {
		if stream.StreamName == name {
			made.stream = stream.Handler
		}
	}
	s.methods[policy.FullName] = made
	return nil
}

// unary answers a call with one answer; the error is a *contract.Refusal. The context carries the call. Handlers must heed the context's
// end: nobody else ends them.
func (s *Service) unary(ctx context.Context, fullName string, decode func(any) error) (answer any, err error) {
	found := s.methods[fullName]
	if found == nil || found.unary == nil {
		return nil, unhosted(fullName)
	}
	defer s.observe(found.policy, time.Now(), &err)
	ctx, cancel := s.begin(ctx, found.policy, &err)
	if err != nil {
		return nil, err
	}
	defer cancel()
	defer s.recovered(ctx, found.policy, &err)
	answer, err = found.unary(found.server, ctx, func(request any) error {
		return checked(found.policy, request, decode)
	}, nil)
	if err != nil {
		return nil, s.told(ctx, found.policy, err)
	}
	return answer, nil
}

// answers answers a call with a stream, or one that is asked by a stream.
func (s *Service) answers(ctx context.Context, fullName string, stream grpc.ServerStream) (err error) {
	found := s.methods[fullName]
	if found == nil || found.stream == nil {
		return unhosted(fullName)
	}
	defer s.observe(found.policy, time.Now(), &err)
	ctx, cancel := s.begin(ctx, found.policy, &err)
	if err != nil {
		return err
	}
	defer cancel()
	defer s.recovered(ctx, found.policy, &err)
	if err = found.stream(found.server, &checkedStream{ServerStream: stream, ctx: ctx, policy: found.policy}); err != nil {
		return s.told(ctx, found.policy, err)
	}
	return nil
}

func (s *Service) begin(
	ctx context.Context, policy *contract.Policy, err *error,
) (context.Context, context.CancelFunc) {
	call := CallOf(ctx)
	if call == nil {
		call = &Call{Method: policy.FullName, Deadline: time.Now().Add(policy.Limit())}
		ctx = WithCall(ctx, *call)
	}
	if call.Shadow && !policy.Safe {
		*err = refuseEffects(policy.Name)
		return ctx, nil
	}
	if set, ok := ctx.Deadline(); ok && !set.After(call.Deadline) {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, call.Deadline)
}

func (s *Service) observe(policy *contract.Policy, started time.Time, err *error) {
	s.stats.Observe(policy.FullName, s.implementation, time.Since(started), isDefect(*err))
}

func (s *Service) recovered(ctx context.Context, policy *contract.Policy, err *error) {
	if said := recover(); said != nil {
		log.ErrorContext(ctx, "call failed", "method", policy.FullName, "exception", fmt.Sprint("panicked: ", said),
			"stack", telemetry.Stack())
		*err = contract.InternalError()
	}
}

// told is what a caller may know of an error.
func (s *Service) told(ctx context.Context, policy *contract.Policy, err error) *contract.Refusal {
	var refusal *contract.Refusal
	if !errors.As(err, &refusal) {
		if said, ok := status.FromError(err); ok {
			refusal = contract.FromStatus(said)
		}
	}
	switch {
	case refusal != nil && contract.Known(refusal.Reason):
		return refusal
	case refusal != nil:
		log.ErrorContext(ctx, "reason outside the vocabulary", "method", policy.FullName, "reason", refusal.Reason)
		return contract.InternalError()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return contract.TooLate(policy.Name)
	case errors.Is(ctx.Err(), context.Canceled):
		return contract.Refuse(contract.ReasonCancelled, "the caller of "+policy.Name+" went away")
	}
	if refusal := data.Refusal(err); refusal != nil {
		log.WarnContext(ctx, "the database failed a call", "method", policy.FullName, "reason", refusal.Reason, "error", err)
		return refusal
	}
	log.ErrorContext(ctx, "call failed", "method", policy.FullName, "exception", err.Error())
	return contract.InternalError()
}

func checked(policy *contract.Policy, request any, decode func(any) error) error {
	message, ok := request.(proto.Message)
	if !ok {
		return fmt.Errorf("a request of %s is a %T, no message", policy.Name, request)
	}
	if err := decode(request); err != nil {
		return err
	}
	return contract.Validate(message)
}

func unhosted(fullName string) *contract.Refusal {
	refusal := contract.Refuse(contract.ReasonUnimplemented, strings.TrimPrefix(fullName, "/")+" is not hosted here")
	refusal.Unsent = true
	return refusal
}

func isDefect(err error) bool {
	if err == nil {
		return false
	}
	var refusal *contract.Refusal
	return !errors.As(err, &refusal) || contract.Entry(refusal.Reason).HTTP >= serverError
}

// checkedStream hands on messages that keep the contract's rules.
type checkedStream struct {
	grpc.ServerStream
	ctx    context.Context
	policy *contract.Policy
}

func (s *checkedStream) Context() context.Context { return s.ctx }

func (s *checkedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	if request, ok := message.(proto.Message); ok {
		return contract.Validate(request)
	}
	return nil
}
