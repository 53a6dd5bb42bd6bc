// Package events follows the events of other contexts (a revoked session, a changed product whose cached copy is stale), writes a context's own
// into its outbox, and lets those that a context subscribes to take effect once (Subscription). From the outbox to who subscribes they are handed by
// relays in Python.
//
// To follow, a process reads what a context publishes of its log (the view published.CONTEXT_events_v1), woken by notifications
// and polling besides.
package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	columns    = "position, id::text, type, subject, sequence, time, traceparent, causation, data"
	relisten   = 500 * time.Millisecond
	channelFor = "tricorn_events_"
)

func view(source string) string {
	return "published." + pgx.Identifier{source + "_events_v1"}.Sanitize()
}

func (t *Tail) start() string {
	return "SELECT coalesce(max(position), 0) FROM " + view(t.source) +
		" WHERE type = ANY($1::text[]) AND time < clock_timestamp() - make_interval(secs => $2)"
}

func (t *Tail) after() string {
	return "SELECT " + columns + " FROM " + view(t.source) +
		" WHERE (position > $1 OR position = ANY($2::bigint[])) AND type = ANY($3::text[]) ORDER BY position"
}

// Broadcasts runs the tails of a process; one connection listens for all of them.
type Broadcasts struct {
	pool  *pgxpool.Pool
	times Times
	tails map[string]*Tail
}

// New follows nothing yet; pool may read what is published.
func New(pool *pgxpool.Pool, times Times) *Broadcasts {
	return &Broadcasts{pool: pool, times: times, tails: make(map[string]*Tail)}
}

// Of is the tail of a context's events. Ask for it before Run.
func (b *Broadcasts) Of(source string) *Tail {
	tail := b.tails[source]
	if tail == nil {
		tail = newTail(source, b.pool, b.times)
		b.tails[source] = tail
	}
	return tail
}

// Sources are the contexts that are followed.
func (b *Broadcasts) Sources() []string { return slices.Sorted(maps.Keys(b.tails)) }

// Started waits until nothing that is published from now on will be missed, or ctx ends.
func (b *Broadcasts) Started(ctx context.Context) error {
	for source, tail := range b.tails {
		select {
		case <-tail.Started():
		case <-ctx.Done():
			return fmt.Errorf("wait for the events of %s: %w", source, context.Cause(ctx))
		}
	}
	return nil
}

// Run follows every log until ctx ends. What fails is tried again.
func (b *Broadcasts) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, tail := range b.tails {
		running.Go(func() { tail.run(ctx) })
	}
	running.Go(func() { b.keepListening(ctx) })
	running.Wait()
}

func (b *Broadcasts) keepListening(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		log.WarnContext(ctx, "not woken by notifications for a moment", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
}

func (b *Broadcasts) listen(ctx context.Context) error {
	acquired, err := b.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("get a connection to listen on: %w", err)
	}
	// A connection that listened must not go back: whoever got it next would be woken.
	connection := acquired.Hijack()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = connection.Close(closing)
	}()
	for source, tail := range b.tails {
		if _, err := connection.Exec(ctx, "LISTEN "+pgx.Identifier{channelFor + source}.Sanitize()); err != nil {
			return fmt.Errorf("listen for the events of %s: %w", source, err)
		}
		tail.Poke()
	}
	for {
		notification, err := connection.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for a notification: %w", errors.Unwrap(err))
		}
		if tail := b.tails[strings.TrimPrefix(notification.Channel, channelFor)]; tail != nil {
			tail.Poke()
		}
	}
}
