package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

const (
	batch       = 64
	handlerTime = 25 * time.Second
	behind      = "behind an event of the same aggregate that failed"
)

// The statement of every implementation.
const take = `
WITH fresh AS (
    INSERT INTO inbox ("group", event_id) SELECT $1, unnest($2::text[]::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id
)
SELECT ARRAY(SELECT event_id::text FROM fresh) AS fresh, EXISTS (SELECT FROM inbox_rebuild WHERE "group" = $1) AS rebuilding`

// Subscription is a group of handlers in one context, at most one for each type of event. An event takes effect once for the group, because the inbox
// row and the effect commit together.
//
// Python subscribes the group as well: it stays the reference, and what this process does not take is handled there, with the same inbox.
type Subscription struct {
	// Batch is the most events that are handled in one transaction, 64 unless it is set. 1 for handlers that call other contexts: a failure of one event
	// of a batch rolls the others back and runs them again one by one.
	Batch int

	group, source string
	pool          *pgxpool.Pool
	limit         time.Duration
	handlers      map[string]handling
	problem       error
	// Batches of a group follow each other in this process: two at once would lock the rows of their effects in two orders.
	turn chan struct{}
}

// handling is how events of a type are handled: one at a time, or all that follow each other.
type handling struct {
	one  func(ctx context.Context, event *tricornv1.Event, work *Work) error
	many func(ctx context.Context, events []*tricornv1.Event, statements Statements) error
}

// Taken is an event as a handler of many gets it.
type Taken[M proto.Message] struct {
	Event M
	Meta  Meta
}

// NewSubscription makes a group that handles nothing yet. Its name is for ever: it keys the inbox; by convention "context.purpose". Source is the
// context that subscribes, and pool the one of its role.
func NewSubscription(group, source string, pool *pgxpool.Pool) *Subscription {
	return &Subscription{
		Batch: batch, group: group, source: source, pool: pool, limit: handlerTime,
		handlers: make(map[string]handling), turn: make(chan struct{}, 1),
	}
}

// Handle has a group handle events of a type. What the handler does through work takes effect if it returns no error and all commits. Its context ends
// 25 s after its batch began.
func Handle[M proto.Message](
	to *Subscription, handle func(ctx context.Context, event M, meta Meta, work *Work) error,
) {
	add[M](to, handling{one: func(ctx context.Context, event *tricornv1.Event, work *Work) error {
		message, err := read[M](event)
		if err != nil {
			return err
		}
		return handle(ctx, message, metaOf(event), work)
	}})
}

// HandleMany has a group handle all events of a type that follow each other in a batch, for whoever has one statement for many. The handler publishes
// nothing and calls nobody: it is no part of one event's trace.
func HandleMany[M proto.Message](
	to *Subscription, handle func(ctx context.Context, taken []Taken[M], statements Statements) error,
) {
	add[M](to, handling{many: func(ctx context.Context, events []*tricornv1.Event, statements Statements) error {
		taken := make([]Taken[M], 0, len(events))
		for _, event := range events {
			message, err := read[M](event)
			if err != nil {
				return err
			}
			taken = append(taken, Taken[M]{message, metaOf(event)})
		}
		return handle(ctx, taken, statements)
	}})
}

func add[M proto.Message](to *Subscription, how handling) {
	var example M
	name := string(example.ProtoReflect().Descriptor().FullName())
	if _, twice := to.handlers[name]; twice {
		to.problem = errors.Join(to.problem, fmt.Errorf("group '%s' has two handlers for %s", to.group, name))
	}
	to.handlers[name] = how
}

// deliver takes events in order; for each an empty text when its effect is committed (now or before), else what went wrong. After a failure the later
// events of the same aggregate are left alone. An error says nothing about the events: nothing can be handled now.
func (s *Subscription) deliver(ctx context.Context, events []*tricornv1.Event) ([]string, error) {
	outcomes := make([]string, 0, len(events))
	failed := make(map[string]bool)
	for chunk := range slices.Chunk(events, max(1, s.Batch)) {
		if len(chunk) > 1 && len(failed) == 0 {
			done, err := s.together(ctx, chunk)
			if err != nil {
				return nil, err
			}
			if done {
				outcomes = append(outcomes, make([]string, len(chunk))...)
				continue
			}
		}
		said, err := s.oneByOne(ctx, chunk, failed)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, said...)
	}
	return outcomes, nil
}

// together handles a batch in one transaction; false when that failed and nothing of it took effect.
func (s *Subscription) together(ctx context.Context, chunk []*tricornv1.Event) (bool, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	err := s.handle(ctx, chunk)
	var early *notNow
	if errors.As(err, &early) {
		return false, early.why
	}
	// Which event it was shows when they are handled one by one.
	return err == nil, nil
}

func (s *Subscription) oneByOne(ctx context.Context, chunk []*tricornv1.Event, failed map[string]bool) ([]string, error) {
	outcomes := make([]string, 0, len(chunk))
	for _, event := range chunk {
		if failed[event.GetSubject()] {
			outcomes = append(outcomes, behind)
			continue
		}
		err := s.handle(ctx, []*tricornv1.Event{event})
		var early *notNow
		switch {
		case errors.As(err, &early):
			return nil, early.why
		case err != nil:
			failed[event.GetSubject()] = true
			said := describe(err)
			log.WarnContext(ctx, "event not handled",
				"group", s.group, "event_id", event.GetId(), "type", event.GetType(), "error", said)
			outcomes = append(outcomes, said)
		default:
			outcomes = append(outcomes, "")
		}
	}
	return outcomes, nil
}

// handle has events take effect in one transaction, those of them that are new.
func (s *Subscription) handle(ctx context.Context, events []*tricornv1.Event) error {
	within, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	taken, work := false, &Work{}
	err := pgx.BeginFunc(within, s.pool, func(transaction pgx.Tx) error {
		fresh, err := s.take(within, transaction, events)
		if err != nil {
			return err
		}
		taken = true
		work.Statements = transaction
		for _, run := range runs(events, fresh) {
			if err := s.call(within, run, work); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return &notNow{ctx.Err()}
	case taken && within.Err() != nil:
		return tooLong{}
	case taken:
		return err
	default:
		if refusal := refusalOf(err); refusal != nil {
			return &notNow{refusal}
		}
		return err
	}
	if work.published {
		if err := Wake(ctx, s.pool, s.source); err != nil {
			log.WarnContext(ctx, "relays were not woken; they will poll", "source", s.source, "error", err)
		}
	}
	return nil
}

// take puts events into the inbox and tells the ids of those that were not there.
func (s *Subscription) take(ctx context.Context, transaction pgx.Tx, events []*tricornv1.Event) ([]string, error) {
	ids := make([]string, 0, len(events))
	for _, event := range events {
		ids = append(ids, event.GetId())
	}
	var fresh []string
	var rebuilding bool
	if err := transaction.QueryRow(ctx, take, s.group, ids).Scan(&fresh, &rebuilding); err != nil {
		return nil, fmt.Errorf("put events into the inbox of %s: %w", s.group, err)
	}
	if rebuilding {
		return nil, contract.Refusef(contract.ReasonUnavailable, "group '%s' is being rebuilt", s.group)
	}
	return fresh, nil
}

// runs are the events that are new, each once (a relay that lost sight of an event for a moment may have it twice in a delivery), in runs of one type.
func runs(events []*tricornv1.Event, fresh []string) [][]*tricornv1.Event {
	var found [][]*tricornv1.Event
	for _, event := range events {
		at := slices.Index(fresh, event.GetId())
		if at < 0 {
			continue
		}
		fresh = slices.Delete(fresh, at, at+1)
		if last := len(found) - 1; last >= 0 && found[last][0].GetType() == event.GetType() {
			found[last] = append(found[last], event)
			continue
		}
		found = append(found, []*tricornv1.Event{event})
	}
	return found
}

// call has the handler of one type handle a run of its events.
func (s *Subscription) call(ctx context.Context, run []*tricornv1.Event, work *Work) error {
	how := s.handlers[run[0].GetType()]
	if how.many != nil {
		spans := make([]*telemetry.Span, 0, len(run))
		for _, event := range run {
			_, span := s.span(ctx, event)
			spans = append(spans, span)
		}
		err := guarded(ctx, func() error { return how.many(ctx, run, work.Statements) })
		for _, span := range spans {
			span.End(err)
		}
		return err
	}
	for _, event := range run {
		traced, span := s.span(ctx, event)
		traced = wire.WithCall(traced, wire.Call{Deadline: time.Now().Add(s.limit), Causation: event.GetId()})
		err := guarded(traced, func() error { return how.one(traced, event, work) })
		span.End(err)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Subscription) span(ctx context.Context, event *tricornv1.Event) (context.Context, *telemetry.Span) {
	traced, span := telemetry.Start(
		telemetry.Continue(ctx, event.GetTraceparent()), s.group+" "+event.GetType(), telemetry.KindConsumer)
	span.Set("event", event.GetId())
	return traced, span
}

func read[M proto.Message](event *tricornv1.Event) (M, error) {
	var example M
	message, _ := example.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(event.GetData(), message); err != nil {
		// What the library says varies from build to build on purpose.
		return message, fmt.Errorf("the event's data is no %s", event.GetType())
	}
	return message, nil
}

func metaOf(event *tricornv1.Event) Meta {
	return Meta{
		ID: event.GetId(), Type: event.GetType(), Source: event.GetSource(), Subject: event.GetSubject(),
		Sequence: event.GetSequence(), Time: event.GetTime().AsTime(), Causation: event.GetCausation(),
	}
}
