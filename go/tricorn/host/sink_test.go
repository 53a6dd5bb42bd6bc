package host_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tricorn/contract"
	"tricorn/events"
	"tricorn/host"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

func subscribing(groups ...string) func(context.Context, *host.Host) error {
	return func(_ context.Context, h *host.Host) error {
		for _, group := range groups {
			subscription := events.NewSubscription(group, "toy", nil)
			events.Handle(subscription, func(context.Context, *wrapperspb.StringValue, events.Meta, *events.Work) error { return nil })
			h.Subscribe(subscription)
		}
		return nil
	}
}

func TestAProcessThatSubscribesAnswersForItsGroups(t *testing.T) {
	process := start(t, subscribing("toy.first", "toy.second"), "--metrics", "off")
	process.go_(t, "")
	process.awaitReady(t)
	conn := process.conn(t)
	sink := tricornv1.NewEventSinkServiceClient(conn)

	listed, err := sink.ListSubscriptions(within(t), &tricornv1.ListSubscriptionsRequest{})
	require.NoError(t, err)
	_, unknown := sink.Deliver(within(t), &tricornv1.DeliverRequest{Group: "toy.third"})

	require.Len(t, listed.GetSubscriptions(), 2)
	assert.Equal(t, "toy.second", listed.GetSubscriptions()[1].GetGroup())
	assert.Equal(t, []string{"google.protobuf.StringValue"}, listed.GetSubscriptions()[1].GetTypes())
	assert.Equal(t, contract.ReasonNotFound, wire.FromError(unknown).Reason)
	require.NoError(t, conn.Close())
	assert.Zero(t, process.end(t))
}

func TestAProcessThatSubscribesAGroupTwiceDoesNotBegin(t *testing.T) {
	process := start(t, subscribing("toy.first", "toy.first"), "--metrics", "off")
	process.go_(t, "")

	assert.Equal(t, 1, process.await(t))
	lines := process.log.lines(t)
	assert.Contains(t, lines[len(lines)-1]["error"], "group 'toy.first' is subscribed twice")
}
