package wire_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/telemetry"
	"tricorn/wire"
)

const whole = `{"toy.echo.v1.EchoService": {"shares": {"rust": 10000}}}`

// nowhere is an address at which nobody listens.
const nowhere = "unix:/nonexistent/s"

func both(t *testing.T, bindings string) (*calling, *served, *served) {
	t.Helper()
	one, other := serve(t, reference, saying(reference)), serve(t, native, saying(native))
	return caller(t, nil, bindings, wire.Addresses{toy.Service: {reference: {one.address}, native: {other.address}}}), one, other
}

func TestABindingDecidesWhoAnswers(t *testing.T) {
	process, _, _ := both(t, "")
	addresses := process.directory.Addresses()

	assert.Equal(t, reference, process.say(t, "ada"))
	process.bind(t, whole, addresses)
	assert.Equal(t, native, process.say(t, "ada"))
	process.bind(t, `{"toy.echo.v1.EchoService": {"shares": {"rust": 10000}}, "toy.echo.v1.EchoService/Say": {"shares": {}}}`, addresses)
	assert.Equal(t, reference, process.say(t, "ada"))
	assert.EqualValues(t, 1, process.asked.Calls(say, native))
}

func TestAShareIsDecidedByTheBucketOfTheKey(t *testing.T) {
	process, _, _ := both(t, `{"toy.echo.v1.EchoService": {"shares": {"rust": 5000}}}`)

	for i := range 50 {
		name := fmt.Sprint("key", i)
		expected := reference
		if wire.Bucket(toy.Service, name) < 5000 {
			expected = native
		}
		assert.Equal(t, expected, process.say(t, name), name)
	}
}

func TestWhatThisProcessHostsIsAnsweredHere(t *testing.T) {
	service := wire.NewService("go", telemetry.NewStats())
	service.RegisterMethods(&toy.Desc, saying("here"), "Say")
	elsewhere := serve(t, reference, saying(reference))
	process := caller(t, service, `{"toy.echo.v1.EchoService": {"shares": {"go": 10000}}}`, at(reference, elsewhere.address))
	ctx, trip := wire.Watching(within(t))
	answer := toy.Empty()

	require.NoError(t, process.client.Invoke(ctx, "/"+say, toy.Request("ada", "", 0), answer))

	assert.Equal(t, "here", toy.Text(answer, "text"))
	assert.Equal(t, wire.Trip{Implementation: "go"}, *trip)
	assert.Empty(t, process.directory.Placeless())
	kept, err := process.client.Call(within(t), policy(t, keep), toy.Request("", "", 0))
	require.NoError(t, err)
	assert.Equal(t, reference, toy.Text(kept, "text"), "what is not hosted here is asked of Python")
}

func TestAHandlerHereSharesNothingWithItsCaller(t *testing.T) {
	service := wire.NewService("go", telemetry.NewStats())
	service.RegisterMethods(&toy.Desc, &toy.Server{Say: func(_ context.Context, request *dynamicpb.Message) (proto.Message, error) {
		toy.Set(request, "name", "changed")
		return toy.Answer("done"), nil
	}}, "Say")
	process := caller(t, service, `{"toy.echo.v1.EchoService": {"shares": {"go": 10000}}}`, nil)
	request := toy.Request("ada", "", 0)

	_, err := process.client.Call(within(t), policy(t, say), request)

	require.NoError(t, err)
	assert.Equal(t, "ada", toy.Text(request, "name"))
}

func TestWithoutAnAddressPythonAnswersAndItIsSaid(t *testing.T) {
	python := serve(t, reference, saying(reference))
	process := caller(t, nil, whole, at(reference, python.address))

	assert.Equal(t, reference, process.say(t, "ada"))
	assert.Equal(t, []string{toy.Service + " to rust"}, process.directory.Placeless())
}

func TestNobodyAnswersWhatHasNoAddress(t *testing.T) {
	process := caller(t, nil, "", nil)

	_, err := process.client.Call(within(t), policy(t, say), toy.Request("", "", 0))

	assert.Equal(t, contract.ReasonUnavailable, refusal(t, err).Reason)
	assert.Equal(t, "nothing answers "+toy.Service+" here", refusal(t, err).Detail)
}

func TestACallTakesItsCallerAlong(t *testing.T) {
	seen := make(chan wire.Call, 1)
	server := serve(t, reference, &toy.Server{Say: func(ctx context.Context, _ *dynamicpb.Message) (proto.Message, error) {
		seen <- *wire.CallOf(ctx)
		return toy.Answer(telemetry.Traceparent(ctx)), nil
	}})
	process := caller(t, nil, "", at(reference, server.address))
	outer := wire.Call{
		Identity: &wire.Identity{UserID: "ada", SessionID: "s", Roles: []string{"staff", "editor"}}, Causation: "c",
		Metadata: map[string]string{"key": "value"}, Deadline: time.Now().Add(time.Second),
	}
	ctx, span := telemetry.Start(wire.WithCall(within(t), outer), "outer", telemetry.KindInternal)
	defer span.End(nil)

	answer, err := process.client.Call(ctx, policy(t, say), toy.Request("", "", 0))

	require.NoError(t, err)
	inner := <-seen
	assert.Equal(t, []string{"editor", "staff"}, inner.Identity.Roles)
	assert.Equal(t, "ada", inner.Identity.UserID)
	assert.Equal(t, "c", inner.Causation)
	assert.Equal(t, outer.Metadata, inner.Metadata)
	assert.WithinDuration(t, outer.Deadline, inner.Deadline, 100*time.Millisecond)
	trace, ok := telemetry.ParseTraceparent(toy.Text(answer, "text"))
	require.True(t, ok)
	assert.Equal(t, span.Context.TraceID, trace.TraceID)
}

func TestNoCallIsMadeAfterTheDeadlineOrForAShadowWithAnEffect(t *testing.T) {
	process := caller(t, nil, "", at(reference, nowhere))
	past := wire.WithCall(within(t), wire.Call{Deadline: time.Now().Add(-time.Second)})
	shadow := wire.WithCall(within(t), wire.Call{Shadow: true})

	_, late := process.client.Call(past, policy(t, say), toy.Request("", "", 0))
	_, effect := process.client.Call(shadow, policy(t, keep), toy.Request("", "", 0))

	assert.Equal(t, contract.ReasonDeadlineExceeded, refusal(t, late).Reason)
	assert.Equal(t, contract.ReasonPermissionDenied, refusal(t, effect).Reason)
}

// failing refuses so many calls, then answers; it counts them.
func failing(times int64, with *contract.Refusal) (*toy.Server, *atomic.Int64) {
	var calls atomic.Int64
	answer := func(context.Context, *dynamicpb.Message) (proto.Message, error) {
		if calls.Add(1) <= times {
			return nil, with
		}
		return toy.Answer("at last"), nil
	}
	return &toy.Server{Say: answer, Keep: answer}, &calls
}

func TestACallIsRepeatedOnlyWhereThatDoesNoHarm(t *testing.T) {
	unavailable := contract.Refuse(contract.ReasonUnavailable, "not now")
	for _, each := range []struct {
		name, method, key string
		with              *contract.Refusal
		times, expected   int64
		answered          bool
	}{
		{"safe", say, "", unavailable, 2, 3, true},
		{"safe, but three times is enough", say, "", unavailable, 9, 3, false},
		{"with an effect", keep, "", unavailable, 1, 1, false},
		{"with an effect and a key", keep, "k", unavailable, 1, 2, true},
		{"a refusal of the business", say, "", contract.Refuse(toy.OutOfToys, "none"), 1, 1, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			server, calls := failing(each.times, each.with)
			process := caller(t, nil, "", at(reference, serve(t, reference, server).address))

			_, err := process.client.Call(within(t), policy(t, each.method), toy.Request("", each.key, 0))

			assert.Equal(t, each.expected, calls.Load())
			assert.Equal(t, each.answered, err == nil, err)
		})
	}
}

func TestRetriesNeverMultiplyAnOverload(t *testing.T) {
	server, calls := failing(1<<40, contract.Refuse(contract.ReasonAborted, "again"))
	process := caller(t, nil, "", at(reference, serve(t, reference, server).address))

	for range 30 {
		_, err := process.client.Call(within(t), policy(t, say), toy.Request("", "", 0))
		require.Error(t, err)
	}

	assert.LessOrEqual(t, calls.Load(), int64(30+10+3), "ten at once, then one for every ten calls")
}

func TestTheReferenceStandsInForWhatIsGone(t *testing.T) {
	python := serve(t, reference, saying(reference))
	process := caller(t, nil, whole, wire.Addresses{toy.Service: {reference: {python.address}, native: {nowhere}}})
	ctx, trip := wire.Watching(within(t))

	_, err := process.client.Call(ctx, policy(t, say), toy.Request("", "", 0))
	require.NoError(t, err)
	assert.Equal(t, wire.Trip{Implementation: reference, FellBack: "unreachable"}, *trip)
	assert.EqualValues(t, 1, process.asked.Fallbacks()[telemetry.Fallback{Method: say, Implementation: native, Why: "unreachable"}])

	// It was not sent, but only one of the two knows its keys.
	_, err = process.client.Call(within(t), policy(t, keep), toy.Request("", "", 0))
	assert.Equal(t, contract.ReasonUnavailable, refusal(t, err).Reason)
	process.bind(t, `{"toy.echo.v1.EchoService": {"shares": {"rust": 10000}, "shared": true}}`, process.directory.Addresses())
	_, err = process.client.Call(within(t), policy(t, keep), toy.Request("", "", 0))
	assert.NoError(t, err)
}

func TestAnAnswerOfTheBusinessIsNobodyElsesToGive(t *testing.T) {
	refusing, _ := failing(1<<40, contract.Refuse(toy.OutOfToys, "none"))
	broken, _ := failing(1<<40, contract.InternalError())
	for _, server := range []*toy.Server{refusing, broken} {
		python, rust := serve(t, reference, saying(reference)), serve(t, native, server)
		process := caller(t, nil, whole, wire.Addresses{toy.Service: {reference: {python.address}, native: {rust.address}}})

		_, err := process.client.Call(within(t), policy(t, say), toy.Request("", "", 0))

		assert.Contains(t, []string{toy.OutOfToys, contract.ReasonInternal}, refusal(t, err).Reason)
		assert.Empty(t, process.asked.Fallbacks())
	}
}

func TestTheReferenceAnswersInTimeForWhatIsLate(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	rust := serve(t, native, &toy.Server{Say: func(ctx context.Context, _ *dynamicpb.Message) (proto.Message, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}})
	python := serve(t, reference, saying(reference))
	process := caller(t, nil, whole, wire.Addresses{toy.Service: {reference: {python.address}, native: {rust.address}}})
	ctx, trip := wire.Watching(within(t))

	answer, err := process.client.Call(ctx, policy(t, say), toy.Request("", "", 0))

	require.NoError(t, err)
	assert.Equal(t, reference, toy.Text(answer, "text"))
	assert.Equal(t, "late", trip.FellBack)
	require.ErrorIs(t, <-ended, context.Canceled, "nobody waits for it any more")
}

// wordless is the address of a server that is not of the wire: it ends each call as cancelled, without a word of a contract.
func wordless(t *testing.T, before func(grpc.ServerStream)) string {
	t.Helper()
	address := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", address)
	require.NoError(t, err)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		before(stream)
		return status.Error(codes.Canceled, "cancelled")
	}))
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})
	return "unix:" + address
}

func TestACallThatTheServerGivesUpIsNotCalledGivenUpByItsCaller(t *testing.T) {
	t.Parallel()
	process := caller(t, nil, "", at(reference, wordless(t, func(grpc.ServerStream) {})))

	_, unary := process.client.Call(within(t), policy(t, keep), toy.Request("", "", 0))
	_, streamed := process.countFrom(within(t), 1)

	for _, err := range []error{unary, streamed} {
		said := refusal(t, err)
		assert.Equal(t, contract.ReasonUnavailable, said.Reason)
		assert.False(t, said.Unsent, "it may have been done")
	}
}

func TestACallThatItsCallerGivesUpIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(within(t))
	defer leave()
	process := caller(t, nil, "", at(reference, wordless(t, func(stream grpc.ServerStream) {
		leave()
		<-stream.Context().Done()
	})))

	_, err := process.client.Call(ctx, policy(t, keep), toy.Request("", "", 0))

	assert.Equal(t, contract.ReasonCancelled, refusal(t, err).Reason)
}

func TestASecondTryThatFindsNobodyLeavesTheFirstItsTime(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	rust := serve(t, native, &toy.Server{Say: func(context.Context, *dynamicpb.Message) (proto.Message, error) {
		<-asked
		return toy.Answer(native), nil
	}})
	python := serve(t, reference, &toy.Server{Say: func(context.Context, *dynamicpb.Message) (proto.Message, error) {
		once()
		return nil, contract.Refuse(contract.ReasonUnavailable, "not now")
	}})
	process := caller(t, nil, whole, wire.Addresses{toy.Service: {reference: {python.address}, native: {rust.address}}})

	assert.Equal(t, native, process.say(t, ""))
}

func TestOnlySoManyCallsFallBackAtOnce(t *testing.T) {
	var waiting sync.WaitGroup
	waiting.Add(2)
	goOn := make(chan struct{})
	python := serve(t, reference, &toy.Server{Say: func(context.Context, *dynamicpb.Message) (proto.Message, error) {
		waiting.Done()
		<-goOn
		return toy.Answer(reference), nil
	}})
	service := wire.NewService("go", telemetry.NewStats())
	asked := telemetry.NewStats()
	directory := wire.NewDirectory(service, asked)
	parsed, err := wire.ParseBindings([]byte(`{"version": 1, "generation": 1, "bindings": ` + whole + `}`))
	require.NoError(t, err)
	directory.Update(parsed, wire.Addresses{toy.Service: {reference: {python.address}, native: {nowhere}}})
	client := wire.NewClient(directory, asked, 2)
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := client.Call(within(t), policy(t, say), toy.Request("", "", 0))
			ended <- err
		}()
	}
	waiting.Wait()

	_, err = client.Call(within(t), policy(t, say), toy.Request("", "", 0))

	assert.Equal(t, contract.ReasonUnavailable, refusal(t, err).Reason)
	assert.Contains(t, refusal(t, err).Detail, "a few at a time")
	close(goOn)
	assert.NoError(t, errors.Join(<-ended, <-ended))
	assert.NoError(t, directory.Close())
}

func TestWhatFailsTooOftenIsGivenARest(t *testing.T) {
	var calls atomic.Int64
	var mended atomic.Bool
	server := serve(t, reference, &toy.Server{Say: func(context.Context, *dynamicpb.Message) (proto.Message, error) {
		calls.Add(1)
		if mended.Load() {
			return toy.Answer("mended"), nil
		}
		return nil, contract.InternalError()
	}})
	process := caller(t, nil, "", at(reference, server.address))
	var last *contract.Refusal
	for last == nil || !last.BreakerOpen {
		_, err := process.client.Call(within(t), policy(t, say), toy.Request("", "", 0))
		last = refusal(t, err)
	}

	assert.GreaterOrEqual(t, calls.Load(), int64(20))
	assert.Positive(t, last.RetryAfter)
	require.Len(t, process.client.OpenBreakers(), 1)
	assert.Contains(t, process.client.OpenBreakers()[0], say+" at unix:")
	mended.Store(true)
	require.Eventually(t, func() bool {
		_, err := process.client.Call(within(t), policy(t, say), toy.Request("", "", 0))
		return err == nil
	}, longest, 50*time.Millisecond)
	assert.Empty(t, process.client.OpenBreakers())
}

func TestACallerThatGoesAwayIsNobodysFault(t *testing.T) {
	begun := make(chan struct{}, 1)
	server := serve(t, reference, &toy.Server{Say: func(ctx context.Context, _ *dynamicpb.Message) (proto.Message, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	process := caller(t, nil, "", at(reference, server.address))
	for range 25 {
		ctx, cancel := context.WithCancel(within(t))
		go func() {
			<-begun
			cancel()
		}()
		_, err := process.client.Call(ctx, policy(t, say), toy.Request("", "", 0))
		require.Equal(t, contract.ReasonCancelled, refusal(t, err).Reason)
	}

	assert.Empty(t, process.client.OpenBreakers())
}
