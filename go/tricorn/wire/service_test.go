package wire_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/telemetry"
	"tricorn/wire"
)

// raw is a connection of somebody who does not know the wire.
func raw(t *testing.T, server *served) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+server.address[len("unix:"):], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func TestAnErrorThatIsNoRefusalShowsNothing(t *testing.T) {
	for name, answer := range map[string]toy.Unary{
		"an error": func(context.Context, *dynamicpb.Message) (proto.Message, error) {
			return nil, errors.New("the secret is 42")
		},
		"a panic": func(context.Context, *dynamicpb.Message) (proto.Message, error) { panic("the secret is 42") },
		"a reason outside the vocabulary": func(context.Context, *dynamicpb.Message) (proto.Message, error) {
			return nil, contract.Refuse("OUT_OF_LUCK", "the secret is 42")
		},
		"a status of somebody's own": func(context.Context, *dynamicpb.Message) (proto.Message, error) {
			return nil, status.Error(codes.NotFound, "the secret is 42")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, "go", &toy.Server{Say: answer})

			err := raw(t, server).Invoke(within(t), "/"+say, toy.Request("", "", 0), toy.Empty())

			said := refusal(t, wire.FromError(err))
			assert.Equal(t, contract.ReasonInternal, said.Reason)
			assert.Equal(t, "something went wrong here; it has been logged", said.Detail)
			assert.EqualValues(t, 1, server.stats.Snapshot()[0].Errors)
		})
	}
}

func TestARefusalOfTheApplicationArrivesWithItsFacts(t *testing.T) {
	server := serve(t, "go", &toy.Server{Say: func(context.Context, *dynamicpb.Message) (proto.Message, error) {
		return nil, contract.Refuse(toy.OutOfToys, "none left").With("left", "0")
	}})

	err := raw(t, server).Invoke(within(t), "/"+say, toy.Request("", "", 0), toy.Empty())

	assert.Equal(t, codes.FailedPrecondition, status.Code(err))
	said := refusal(t, wire.FromError(err))
	assert.Equal(t, toy.OutOfToys, said.Reason)
	assert.Equal(t, map[string]string{"left": "0"}, said.Metadata)
	assert.Zero(t, server.stats.Snapshot()[0].Errors)
}

func TestARequestThatBreaksARuleNeverReachesTheHandler(t *testing.T) {
	server := serve(t, "go", saying("never"))

	err := raw(t, server).Invoke(within(t), "/"+say, toy.Request("much too long", "", 0), toy.Empty())

	assert.Equal(t, []contract.Violation{{Field: "name", Rule: "string.max_len", Message: "must be at most 8 characters"}},
		refusal(t, wire.FromError(err)).Violations)
}

func TestBytesThatAreNoMessageAreRefused(t *testing.T) {
	server := serve(t, "go", saying("never"))

	// Field 1 of the request is text: these bytes are none.
	err := raw(t, server).Invoke(within(t), "/"+say, wrapperspb.Bytes([]byte{0xff, 0xfe}), toy.Empty())

	assert.Equal(t, contract.ReasonInvalidArgument, refusal(t, wire.FromError(err)).Reason)
	assert.Contains(t, wire.FromError(err).Detail, "is no toy.echo.v1.Request")
}

func TestWhatIsNotHostedIsUnimplemented(t *testing.T) {
	server := serve(t, "go", saying(""))

	for _, method := range []string{toy.Service + "/Shout", "no.such.Service/Say"} {
		err := raw(t, server).Invoke(within(t), "/"+method, toy.Request("", "", 0), toy.Empty())

		assert.Equal(t, contract.ReasonUnimplemented, refusal(t, wire.FromError(err)).Reason)
		assert.Equal(t, method+" is not hosted here", wire.FromError(err).Detail)
	}
}

func TestTheHandlerSeesWhoCallsUntilWhenAndWhy(t *testing.T) {
	seen := make(chan *wire.Call, 1)
	server := serve(t, "go", &toy.Server{Say: func(ctx context.Context, _ *dynamicpb.Message) (proto.Message, error) {
		seen <- wire.CallOf(ctx)
		deadline, _ := ctx.Deadline()
		assert.Equal(t, wire.CallOf(ctx).Deadline, deadline)
		return toy.Answer(telemetry.Traceparent(ctx)), nil
	}})
	ctx := metadata.NewOutgoingContext(within(t), metadata.Pairs(
		"tricorn-user-id", "ada", "tricorn-session-id", "s1", "tricorn-roles", "staff,,seller", "tricorn-causation", "e1",
		"tricorn-meta-origin", "test", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	answer := toy.Empty()

	require.NoError(t, raw(t, server).Invoke(ctx, "/"+say, toy.Request("", "", 0), answer))

	call := <-seen
	assert.Equal(t, &wire.Identity{UserID: "ada", SessionID: "s1", Roles: []string{"staff", "seller"}}, call.Identity)
	assert.Equal(t, "e1", call.Causation)
	assert.Equal(t, map[string]string{"origin": "test"}, call.Metadata)
	assert.LessOrEqual(t, time.Until(call.Deadline), 10*time.Second)
	trace, ok := telemetry.ParseTraceparent(toy.Text(answer, "text"))
	assert.True(t, ok)
	assert.Equal(t, byte(0x0a), trace.TraceID[0])
	assert.NotEqual(t, byte(0xb7), trace.SpanID[0], "the handler's span is its own")
}

func TestACallThatTakesTooLongEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	server := serve(t, "go", &toy.Server{Say: func(ctx context.Context, _ *dynamicpb.Message) (proto.Message, error) {
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithTimeout(within(t), 4*time.Second)
	defer cancel()

	err := raw(t, server).Invoke(ctx, "/"+say, toy.Request("", "", 0), toy.Empty())

	assert.Equal(t, contract.ReasonDeadlineExceeded, refusal(t, wire.FromError(err)).Reason)
	<-ended
}

func TestAShadowedCallMayHaveNoEffect(t *testing.T) {
	server := serve(t, "go", saying("done"))
	ctx := metadata.NewOutgoingContext(within(t), metadata.Pairs("tricorn-shadow", "1"))

	err := raw(t, server).Invoke(ctx, "/"+keep, toy.Request("", "", 0), toy.Empty())

	assert.Equal(t, contract.ReasonPermissionDenied, refusal(t, wire.FromError(err)).Reason)
	assert.Equal(t, "Keep", wire.FromError(err).Metadata[wire.RefusedEffect])
	assert.NoError(t, raw(t, server).Invoke(ctx, "/"+say, toy.Request("", "", 0), toy.Empty()))
}

func TestHealthAndReflectionNameTheContracts(t *testing.T) {
	conn := raw(t, serve(t, "go", saying("")))

	for _, name := range []string{"", toy.Service} {
		answer, err := healthpb.NewHealthClient(conn).Check(within(t), &healthpb.HealthCheckRequest{Service: name})
		require.NoError(t, err)
		assert.Equal(t, healthpb.HealthCheckResponse_SERVING, answer.GetStatus())
	}
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(within(t))
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: toy.Service},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	assert.NotEmpty(t, answer.GetFileDescriptorResponse().GetFileDescriptorProto())
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	assert.ErrorIs(t, err, io.EOF)
}

func TestNothingIsHostedTwice(t *testing.T) {
	service := wire.NewService("go", telemetry.NewStats())

	service.RegisterMethods(&toy.Desc, saying(""), "Say")
	require.NoError(t, service.Err())
	service.RegisterService(&toy.Desc, saying(""))

	assert.ErrorContains(t, service.Err(), say+" is hosted twice")
	assert.True(t, service.Hosts(keep))
}

func TestWhoeverLooksOnDoesNotHoldAServerThatStops(t *testing.T) {
	server := serve(t, "go", saying(""))
	conn := raw(t, server)
	for _, service := range []string{toy.Service, "no.such.Service"} {
		watch, err := healthpb.NewHealthClient(conn).Watch(within(t), &healthpb.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		_, err = watch.Recv()
		require.NoError(t, err)
	}
	reflection, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(within(t))
	require.NoError(t, err)
	require.NoError(t, reflection.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}))
	_, err = reflection.Recv()
	require.NoError(t, err)

	assert.True(t, server.server.Stop(within(t)), "nothing was cut off")
}

func TestCallsInFlightEndBeforeAServerStops(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	server := serve(t, "go", &toy.Server{Say: func(context.Context, *dynamicpb.Message) (proto.Message, error) {
		close(begun)
		<-goOn
		return toy.Answer("whole"), nil
	}})
	conn, answer, ended := raw(t, server), toy.Empty(), make(chan error, 1)
	go func() { ended <- conn.Invoke(within(t), "/"+say, toy.Request("", "", 0), answer) }()
	<-begun

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.stop()
	}()
	close(goOn)

	require.NoError(t, <-ended)
	assert.Equal(t, "whole", toy.Text(answer, "text"))
	<-stopped
}
