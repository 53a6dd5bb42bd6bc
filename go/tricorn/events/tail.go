package events

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"tricorn/telemetry"
)

// Meta is what a handler gets besides the message.
type Meta struct {
	ID   string
	Type string
	// Source is the context that published it.
	Source string
	// Subject is its aggregate's id.
	Subject string
	// Sequence counts the aggregate's events from 1 without gaps.
	Sequence int64
	// Time is when it was written, by the publisher's database.
	Time      time.Time
	Causation string
}

// Times says how closely a tail follows its log.
type Times struct {
	// Poll lies between two looks at the log when nothing wakes the tail.
	Poll time.Duration
	// Gap: after that long without a look, what handlers keep in memory is not to be trusted.
	Gap time.Duration
	// Late is how long a transaction may take. Until then an event may still appear below the ones already seen, so the
	// log is read again from there.
	Late time.Duration
}

// DefaultTimes are those of every implementation.
var DefaultTimes = Times{Poll: 800 * time.Millisecond, Gap: 3 * time.Second, Late: time.Minute}

// Log reads a context's published events.
type Log interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

type handler struct {
	message proto.Message
	handle  func(context.Context, proto.Message, Meta) error
}

type row struct {
	position    int64
	traceparent string
	data        []byte
	meta        Meta
}

// Tail is this process's subscriptions to one context's events. Nothing is kept about who has seen what, so a handler
// may see an event twice, and a process that was away is told to flush instead.
type Tail struct {
	source   string
	log      Log
	times    Times
	logger   *slog.Logger
	handlers map[string][]handler
	onGap    []func(context.Context) error

	wake    chan struct{}
	started chan struct{}
	once    sync.Once

	mu    sync.Mutex
	looks int
	ended *sync.Cond

	first  bool
	past   *past
	looked time.Time
}

func newTail(source string, log Log, times Times) *Tail {
	made := &Tail{
		source: source, log: log, times: times, logger: telemetry.Logger("tricorn.events"),
		handlers: make(map[string][]handler),
		wake:     make(chan struct{}, 1), started: make(chan struct{}),
		first: true, past: newPast(times.Late),
	}
	made.ended = sync.NewCond(&made.mu)
	return made
}

// On calls handle for each event of a type that is published while the tail runs. Subscribe before it runs.
func On[M proto.Message](tail *Tail, handle func(context.Context, M, Meta) error) {
	var example M
	name := string(example.ProtoReflect().Descriptor().FullName())
	tail.handlers[name] = append(tail.handlers[name], handler{
		message: example.ProtoReflect().New().Interface(),
		handle: func(ctx context.Context, message proto.Message, meta Meta) error {
			return handle(ctx, message.(M), meta)
		},
	})
}

// OnGap calls flush when events may have been missed: at the start, and after the log was out of reach.
func (t *Tail) OnGap(flush func(context.Context) error) { t.onGap = append(t.onGap, flush) }

// Started is closed once nothing that is published from now on will be missed.
func (t *Tail) Started() <-chan struct{} { return t.started }

// Poke says that there may be something new.
func (t *Tail) Poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Looked returns after a look at the log that began after this call.
func (t *Tail) Looked(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ended.Broadcast()
	})
	defer stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	// One look may be under way; the one after it begins later.
	for wanted := t.looks + 2; t.looks < wanted; t.ended.Wait() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.Poke()
	}
	return nil
}

// run hands events over, one after the other, until ctx ends.
func (t *Tail) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := t.look(ctx); err != nil && ctx.Err() == nil {
			t.logger.WarnContext(ctx, "log out of reach", "source", t.source, "error", err)
		}
		timer := time.NewTimer(t.times.Poll)
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (t *Tail) look(ctx context.Context) error {
	began := time.Now()
	first := t.first
	if first {
		if err := t.log.QueryRow(ctx, t.start(), t.types(), t.times.Late.Seconds()).Scan(&t.past.low); err != nil {
			return fmt.Errorf("find where the events of %s end: %w", t.source, err)
		}
	}
	rows, err := t.read(ctx)
	if err != nil {
		return err
	}
	t.first = false
	gap := first || began.Sub(t.looked) > t.times.Gap
	t.looked = time.Now()
	if gap {
		for _, flush := range t.onGap {
			t.guarded(ctx, flush)
		}
	}
	for _, each := range rows {
		if t.past.add(each.position, began) && !first {
			t.handOver(ctx, each)
		}
	}
	t.past.forget(began)
	t.once.Do(func() { close(t.started) })
	t.mu.Lock()
	t.looks++
	t.ended.Broadcast()
	t.mu.Unlock()
	return nil
}

func (t *Tail) read(ctx context.Context) ([]row, error) {
	after, between := t.past.unseen()
	found, err := t.log.Query(ctx, t.after(), after, between, t.types())
	if err == nil {
		var rows []row
		if rows, err = pgx.CollectRows(found, t.row); err == nil {
			return rows, nil
		}
	}
	return nil, fmt.Errorf("read the events of %s: %w", t.source, err)
}

func (t *Tail) row(found pgx.CollectableRow) (row, error) {
	each := row{meta: Meta{Source: t.source}}
	meta := &each.meta
	err := found.Scan(&each.position, &meta.ID, &meta.Type, &meta.Subject, &meta.Sequence, &meta.Time,
		&each.traceparent, &meta.Causation, &each.data)
	return each, err
}

func (t *Tail) types() []string {
	names := make([]string, 0, len(t.handlers))
	for name := range t.handlers {
		names = append(names, name)
	}
	return names
}

func (t *Tail) handOver(ctx context.Context, event row) {
	for _, each := range t.handlers[event.meta.Type] {
		traced, span := telemetry.Start(
			telemetry.Continue(ctx, event.traceparent), "broadcast "+event.meta.Type, telemetry.KindConsumer,
		)
		span.Set("event", event.meta.ID)
		t.guarded(traced, func(ctx context.Context) error {
			message := each.message.ProtoReflect().New().Interface()
			err := proto.Unmarshal(event.data, message)
			if err == nil {
				err = each.handle(ctx, message, event.meta)
			}
			span.End(err)
			return err
		})
	}
}

// guarded: a handler that fails has missed an event, so all are told to flush at the next look.
func (t *Tail) guarded(ctx context.Context, run func(context.Context) error) {
	if err := run(ctx); err != nil {
		t.logger.ErrorContext(ctx, "broadcast handler failed", "source", t.source, "error", err)
		t.looked = time.Time{}
	}
}
