package events_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tricorn/contract"
	"tricorn/events"
	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

const (
	text        = "google.protobuf.StringValue"
	number      = "google.protobuf.Int64Value"
	traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// books is a context that handles events: what it was told it writes down in the order in which it was told.
type books struct {
	*shop
	group string
	sink  *events.Sink
}

func (s *shop) books() *pgxpool.Pool {
	s.t.Helper()
	address := os.Getenv("TRICORN_DATABASE_BOOKS")
	if address == "" {
		s.t.Skip("needs TRICORN_DATABASE_BOOKS: tests/events runs it with one")
	}
	pool, err := pgxpool.New(s.ctx, address)
	require.NoError(s.t, err)
	s.t.Cleanup(pool.Close)
	return pool
}

// keep subscribes a group of the test's own; what before says of a value, its handler says.
func keep(t *testing.T, before func(ctx context.Context, value string, work *events.Work) error) *books {
	t.Helper()
	s := open(t)
	s.pool = s.books()
	made := &books{shop: s, group: "books." + t.Name()}
	subscription := events.NewSubscription(made.group, "books", s.pool)
	events.Handle(subscription, func(ctx context.Context, event *wrapperspb.StringValue, meta events.Meta, work *events.Work) error {
		if before != nil {
			if err := before(ctx, event.GetValue(), work); err != nil {
				return err
			}
		}
		_, err := work.Exec(ctx, `INSERT INTO effect ("group", subject, sequence, value) VALUES ($1, $2, $3, $4)`,
			made.group, meta.Subject, meta.Sequence, event.GetValue())
		return err
	})
	events.HandleMany(subscription, func(ctx context.Context, taken []events.Taken[*wrapperspb.Int64Value], on events.Statements) error {
		var words []string
		for _, each := range taken {
			if each.Event.GetValue() == 0 {
				return errors.New("nothing")
			}
			words = append(words, each.Meta.Subject)
		}
		_, err := on.Exec(ctx, `INSERT INTO effect ("group", subject, sequence, value) VALUES ($1, 'many', $2, $3)`,
			made.group, len(taken), strings.Join(words, " "))
		return err
	})
	sink, err := events.NewSink(subscription)
	require.NoError(t, err)
	made.sink = sink
	return made
}

func event(t *testing.T, message proto.Message, subject string, sequence int64) *tricornv1.Event {
	t.Helper()
	data, err := proto.Marshal(message)
	require.NoError(t, err)
	return &tricornv1.Event{
		Id: uuid.NewString(), Type: string(message.ProtoReflect().Descriptor().FullName()), Source: "shop", Subject: subject,
		Sequence: sequence, Traceparent: traceparent, Data: data,
	}
}

// told gives an event with a text to the aggregate's events.
func told(t *testing.T, subject string, values ...string) (made []*tricornv1.Event) {
	t.Helper()
	for at, value := range values {
		made = append(made, event(t, wrapperspb.String(value), subject, int64(at+1)))
	}
	return made
}

// deliver gives what became of each event; "" when it took effect.
func (b *books) deliver(given ...*tricornv1.Event) []string {
	b.t.Helper()
	answer, err := b.sink.Deliver(b.ctx, &tricornv1.DeliverRequest{Group: b.group, Events: given})
	require.NoError(b.t, err)
	var outcomes []string
	for at, each := range answer.GetDeliveries() {
		assert.Equal(b.t, given[at].GetId(), each.GetEventId())
		assert.Equal(b.t, each.GetError() == "", each.GetAcknowledged())
		outcomes = append(outcomes, each.GetError())
	}
	return outcomes
}

// refused gives the reason and the detail of a delivery that says nothing about its events.
func (b *books) refused(ctx context.Context, group string, given ...*tricornv1.Event) string {
	b.t.Helper()
	_, err := b.sink.Deliver(ctx, &tricornv1.DeliverRequest{Group: group, Events: given})
	var refusal *contract.Refusal
	require.ErrorAs(b.t, err, &refusal)
	return refusal.Error()
}

// effects are "subject value", in their order.
func (b *books) effects() (found []string) {
	b.t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT subject || ' ' || value FROM effect WHERE "group" = $1 ORDER BY number`, b.group)
	require.NoError(b.t, err)
	defer rows.Close()
	for rows.Next() {
		var each string
		require.NoError(b.t, rows.Scan(&each))
		found = append(found, each)
	}
	require.NoError(b.t, rows.Err())
	return found
}

func poison(_ context.Context, value string, _ *events.Work) error {
	switch value {
	case "bad":
		return errors.Join(errors.New("no luck"), contract.Refuse(contract.ReasonNotFound, "there is no such book"))
	case "defect":
		return errors.New("a defect")
	case "panic":
		panic("at the disco")
	case "unwritable":
		return errors.New("a \x00 and a \xff")
	default:
		return nil
	}
}

func TestAnEventTakesEffectOnceForItsGroup(t *testing.T) {
	b := keep(t, nil)
	first, second := told(t, "o-1", "a", "b"), told(t, "o-2", "c")

	once := b.deliver(first[0], first[0], first[1])
	again := b.deliver(append(first, second...)...)

	assert.Equal(t, []string{"", "", ""}, once)
	assert.Equal(t, []string{"", "", ""}, again)
	assert.Equal(t, []string{"o-1 a", "o-1 b", "o-2 c"}, b.effects())
}

func TestWhatFailsHoldsUpItsAggregateAlone(t *testing.T) {
	for value, said := range map[string]string{
		"bad": "NOT_FOUND: there is no such book", "defect": "a defect", "panic": "panicked: at the disco",
		"unwritable": "a \uFFFD and a ?",
	} {
		t.Run(value, func(t *testing.T) {
			b := keep(t, poison)
			poisoned := told(t, "o-1", "a", value, "b")

			outcomes := b.deliver(append(poisoned, told(t, "o-2", "c")...)...)
			later := b.deliver(told(t, "o-2", "d", "e")...)

			assert.Equal(t, []string{"", said, "behind an event of the same aggregate that failed", ""}, outcomes)
			assert.Equal(t, []string{"", ""}, later)
			assert.Equal(t, []string{"o-1 a", "o-2 c", "o-2 d", "o-2 e"}, b.effects())
		})
	}
}

func TestLargeDeliveriesAreTakenInBatchesAndOnlyTheOneThatFailedOneByOne(t *testing.T) {
	var calls atomic.Int64
	b := keep(t, func(ctx context.Context, value string, work *events.Work) error {
		calls.Add(1)
		return poison(ctx, value, work)
	})
	given := told(t, "o-1", strings.Split(strings.Repeat("x", 64), "")...)
	given = append(given, told(t, "o-2", "y", "bad")...)

	outcomes := b.deliver(given...)

	assert.Equal(t, "NOT_FOUND: there is no such book", outcomes[65])
	assert.Len(t, b.effects(), 65)
	assert.Equal(t, int64(64+2+2), calls.Load())
}

func TestEventsOfOneTypeThatFollowEachOtherAreHandledByOneCall(t *testing.T) {
	b := keep(t, nil)
	given := []*tricornv1.Event{
		event(t, wrapperspb.Int64(1), "o-1", 1), event(t, wrapperspb.Int64(2), "o-2", 1),
		event(t, wrapperspb.String("a"), "o-1", 2), event(t, wrapperspb.Int64(3), "o-1", 3),
	}

	together := b.deliver(given...)
	apart := b.deliver(event(t, wrapperspb.Int64(4), "o-3", 1), event(t, wrapperspb.Int64(0), "o-4", 1))

	assert.Equal(t, []string{"", "", "", ""}, together)
	assert.Equal(t, []string{"", "nothing"}, apart)
	assert.Equal(t, []string{"many o-1 o-2", "o-1 a", "many o-1", "many o-3"}, b.effects())
}

func TestBatchesOfAGroupFollowEachOther(t *testing.T) {
	var inside, most atomic.Int64
	b := keep(t, func(ctx context.Context, _ string, work *events.Work) error {
		most.Store(max(most.Load(), inside.Add(1)))
		defer inside.Add(-1)
		_, err := work.Exec(ctx, "SELECT pg_sleep(0.002)")
		return err
	})
	var deliveries sync.WaitGroup
	for _, subject := range []string{"o-1", "o-2", "o-3", "o-4"} {
		given := told(t, subject, "a", "b", "c")
		deliveries.Go(func() { assert.Equal(t, []string{"", "", ""}, b.deliver(given...)) })
	}

	deliveries.Wait()

	assert.Equal(t, int64(1), most.Load())
	assert.Len(t, b.effects(), 12)
}

func TestWhatAHandlerPublishesNamesItsCauseAndWakesRelaysAfterTheCommit(t *testing.T) {
	subject := uuid.NewString()
	b := keep(t, func(ctx context.Context, value string, work *events.Work) error {
		if err := work.Publish(ctx, subject, wrapperspb.String(value)); err != nil {
			return err
		}
		return poison(ctx, value, work)
	})
	listener, err := b.pool.Acquire(b.ctx)
	require.NoError(t, err)
	defer listener.Release()
	_, err = listener.Exec(b.ctx, "LISTEN tricorn_events_books")
	require.NoError(t, err)
	given := told(t, "o-1", "a", "bad")
	ctx := wire.WithCall(b.ctx, wire.Call{Causation: "the relay's"})

	answer, err := b.sink.Deliver(ctx, &tricornv1.DeliverRequest{Group: b.group, Events: given})
	require.NoError(t, err)

	assert.Equal(t, []bool{true, false}, []bool{answer.GetDeliveries()[0].GetAcknowledged(), answer.GetDeliveries()[1].GetAcknowledged()})
	_, err = listener.Conn().WaitForNotification(b.ctx)
	require.NoError(t, err)
	var causation, trace string
	require.NoError(t, b.pool.QueryRow(b.ctx, "SELECT causation, traceparent FROM outbox WHERE subject = $1", subject).Scan(&causation, &trace))
	assert.Equal(t, given[0].GetId(), causation)
	said, ok := telemetry.ParseTraceparent(trace)
	caused, _ := telemetry.ParseTraceparent(traceparent)
	assert.True(t, ok)
	assert.Equal(t, caused.TraceID, said.TraceID)
	assert.NotEqual(t, caused.SpanID, said.SpanID)
}

func TestADeliveryThatNothingCanBeDoneWithSaysNothingAboutItsEvents(t *testing.T) {
	b := keep(t, nil)
	given := told(t, "o-1", "a")
	_, err := b.pool.Exec(b.ctx, `INSERT INTO inbox_rebuild ("group", token) VALUES ($1, gen_random_uuid())`, b.group)
	require.NoError(t, err)
	ended, end := context.WithCancel(b.ctx)
	end()

	assert.Equal(t, "UNAVAILABLE: group '"+b.group+"' is being rebuilt", b.refused(b.ctx, b.group, given...))
	assert.Equal(t, "NOT_FOUND: group 'books.none' has no handlers in this process", b.refused(b.ctx, "books.none", given...))
	assert.Equal(t, "NOT_FOUND: group '"+b.group+"' has no handler of google.protobuf.BoolValue in this process",
		b.refused(b.ctx, b.group, given[0], event(t, wrapperspb.Bool(true), "o-1", 2)))
	_, err = b.sink.Deliver(ended, &tricornv1.DeliverRequest{Group: b.group, Events: given})
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.pool.Exec(b.ctx, `DELETE FROM inbox_rebuild WHERE "group" = $1`, b.group)
	require.NoError(t, err)
	assert.Equal(t, []string{""}, b.deliver(given...))
	b.pool.Close()
	assert.Equal(t, "UNAVAILABLE: the data cannot be reached at the moment; try again", b.refused(b.ctx, b.group, given...))
}

func TestACallerWhoGoesAwayWhileAHandlerWorksIsToldNothingAboutTheEvents(t *testing.T) {
	began := make(chan struct{}, 1)
	b := keep(t, func(ctx context.Context, _ string, _ *events.Work) error {
		began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	given := told(t, "o-1", "a")
	ctx, leave := context.WithCancel(b.ctx)
	go func() { <-began; leave() }()

	_, err := b.sink.Deliver(ctx, &tricornv1.DeliverRequest{Group: b.group, Events: given})

	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, b.effects())
}

func TestASinkListsItsGroupsWithTheirTypes(t *testing.T) {
	b := keep(t, nil)

	answer, err := b.sink.ListSubscriptions(b.ctx, &tricornv1.ListSubscriptionsRequest{})

	require.NoError(t, err)
	require.Len(t, answer.GetSubscriptions(), 1)
	assert.Equal(t, b.group, answer.GetSubscriptions()[0].GetGroup())
	assert.Equal(t, []string{number, text}, answer.GetSubscriptions()[0].GetTypes())
}

func TestAGroupAndATypeOfItAreThereOnce(t *testing.T) {
	nothing := func(context.Context, *wrapperspb.StringValue, events.Meta, *events.Work) error { return nil }
	twice := events.NewSubscription("books.all", "books", nil)
	events.Handle(twice, nothing)
	events.Handle(twice, nothing)

	_, err := events.NewSink(twice, events.NewSubscription("books.all", "books", nil))

	require.ErrorContains(t, err, "group 'books.all' has two handlers for "+text)
	require.ErrorContains(t, err, "group 'books.all' is subscribed twice in this process")
}
