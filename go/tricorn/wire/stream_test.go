package wire_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/telemetry"
	"tricorn/wire"
)

// counting counts down from the request's number, and gathers names.
func counting() *toy.Server {
	return &toy.Server{
		Count: func(_ context.Context, request *dynamicpb.Message, send func(proto.Message) error) error {
			from, _ := strconv.Atoi(toy.Text(request, "count"))
			for number := from; number > 0; number-- {
				if err := send(toy.Answer(strconv.Itoa(number))); err != nil {
					return err
				}
			}
			if from == 0 {
				return contract.Refuse(toy.OutOfToys, "nothing to count")
			}
			return nil
		},
		Gather: func(_ context.Context, receive func() (*dynamicpb.Message, error)) (proto.Message, error) {
			text := ""
			for {
				request, err := receive()
				if errors.Is(err, io.EOF) {
					return toy.Answer(text), nil
				}
				if err != nil {
					return nil, err
				}
				text += toy.Text(request, "name")
			}
		},
	}
}

func places(t *testing.T) map[string]*calling {
	t.Helper()
	here := wire.NewService("go", telemetry.NewStats())
	here.RegisterMethods(&toy.Desc, counting(), "Count", "Gather")
	require.NoError(t, here.Err())
	python := serve(t, reference, counting())
	return map[string]*calling{
		"here":      caller(t, here, `{"toy.echo.v1.EchoService": {"shares": {"go": 10000}}}`, nil),
		"elsewhere": caller(t, nil, "", at(reference, python.address)),
		"instead of what is gone": caller(t, nil, whole,
			wire.Addresses{toy.Service: {reference: {python.address}, native: {nowhere}}}),
	}
}

func (c *calling) countFrom(ctx context.Context, from int) ([]string, error) {
	stream, err := c.client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+count)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(toy.Request("", "", from)); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var said []string
	for {
		answer := toy.Empty()
		if err := stream.RecvMsg(answer); err != nil {
			return said, err
		}
		said = append(said, toy.Text(answer, "text"))
	}
}

func TestAStreamOfAnswersComesWholeAndInOrder(t *testing.T) {
	for name, process := range places(t) {
		t.Run(name, func(t *testing.T) {
			said, err := process.countFrom(within(t), 3)

			assert.ErrorIs(t, err, io.EOF)
			assert.Equal(t, []string{"3", "2", "1"}, said)
		})
	}
}

func TestAStreamEndsWithTheRefusalOfItsHandler(t *testing.T) {
	for name, process := range places(t) {
		t.Run(name, func(t *testing.T) {
			_, err := process.countFrom(within(t), 0)

			assert.Equal(t, toy.OutOfToys, refusal(t, err).Reason)
		})
	}
}

func TestARequestOfAStreamKeepsTheRulesToo(t *testing.T) {
	for name, process := range places(t) {
		t.Run(name, func(t *testing.T) {
			_, err := process.countFrom(within(t), -1)

			assert.Equal(t, contract.ReasonInvalidArgument, refusal(t, err).Reason)
		})
	}
}

func TestAStreamOfRequestsIsAnsweredOnce(t *testing.T) {
	for name, process := range places(t) {
		if name == "instead of what is gone" {
			continue // a stream of requests cannot be given to another
		}
		t.Run(name, func(t *testing.T) {
			stream, err := process.client.NewStream(within(t), &grpc.StreamDesc{ClientStreams: true}, "/"+gather)
			require.NoError(t, err)
			for _, each := range []string{"a", "b", "c"} {
				require.NoError(t, stream.SendMsg(toy.Request(each, "", 0)))
			}
			require.NoError(t, stream.CloseSend())
			answer := toy.Empty()

			require.NoError(t, stream.RecvMsg(answer))
			assert.Equal(t, "abc", toy.Text(answer, "text"))
		})
	}
}

func TestAStreamEndsWhenItsCallerGoesAway(t *testing.T) {
	for _, place := range []string{"here", "elsewhere"} {
		t.Run(place, func(t *testing.T) {
			ended := make(chan struct{})
			server := &toy.Server{Count: func(_ context.Context, _ *dynamicpb.Message, send func(proto.Message) error) error {
				defer close(ended)
				for {
					if err := send(toy.Answer("on")); err != nil {
						return err
					}
				}
			}}
			here := wire.NewService("go", telemetry.NewStats())
			here.RegisterMethods(&toy.Desc, server, "Count")
			process := caller(t, here, `{"toy.echo.v1.EchoService": {"shares": {"go": 10000}}}`, nil)
			if place == "elsewhere" {
				process = caller(t, nil, "", at(reference, serve(t, reference, server).address))
			}
			ctx, cancel := context.WithCancel(within(t))
			stream, err := process.client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+count)
			require.NoError(t, err)
			require.NoError(t, stream.SendMsg(toy.Request("", "", 1)))
			require.NoError(t, stream.RecvMsg(toy.Empty()))

			cancel()

			<-ended
		})
	}
}
