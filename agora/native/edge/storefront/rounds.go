package storefront

import (
	"context"
	"errors"
	"sync"
	"time"

	storefrontv1 "agora/native/gen/agora/storefront/v1"
)

const (
	// patience is how long a read that nobody waits for stays for others to come. Answers count for a second, and are renewed in its last fifth.
	patience = 20 * time.Millisecond
	// pace is how long after the last round one begins for which somebody waits: who comes alone does so at once.
	pace = 3 * time.Millisecond
	// mostTogether bounds a round: prices are asked of at most a hundred products at once.
	mostTogether = 50
)

var errBrokeOff = errors.New("the read that this one shared broke off")

// wanted is a product that a customer (empty: nobody in particular) looks at.
type wanted struct{ id, customer string }

// rounds puts reads together, so that many products take one round trip each to PostgreSQL and to whoever knows the prices. Those of a round
// fail together, but for a leader who goes away.
type rounds struct {
	make func(context.Context, []wanted) ([]*storefrontv1.Product, error)
	// awaited says that somebody waits for these reads.
	awaited bool
	mutex   sync.Mutex
	open    *round
	began   time.Time
}

type round struct {
	asked []wanted
	full  chan struct{}
	done  chan struct{}
	found []*storefrontv1.Product
	err   error
}

// read gives a product; nil when it is not on sale. Whoever is first of a round waits for the others, and reads for all.
func (r *rounds) read(ctx context.Context, asked wanted) (*storefrontv1.Product, error) {
	joined, place := r.join(asked)
	if place == 0 {
		r.lead(ctx, joined)
	} else {
		select {
		case <-joined.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if joined.err != nil {
		return nil, joined.err
	}
	return joined.found[place], nil
}

func (r *rounds) join(asked wanted) (joined *round, place int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.open == nil {
		r.open = &round{full: make(chan struct{}), done: make(chan struct{}), err: errBrokeOff}
	}
	joined, place = r.open, len(r.open.asked)
	joined.asked = append(joined.asked, asked)
	if len(joined.asked) == mostTogether {
		r.open = nil
		close(joined.full)
	}
	return joined, place
}

func (r *rounds) lead(ctx context.Context, led *round) {
	defer close(led.done)
	if deadline, ok := ctx.Deadline(); ok {
		staying, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		ctx = staying
	}
	if wait := r.wait(); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-led.full:
		case <-ctx.Done():
		}
	}
	r.mutex.Lock()
	if r.open == led {
		r.open = nil
	}
	r.began = time.Now()
	r.mutex.Unlock()
	led.found, led.err = r.make(ctx, led.asked)
}

// wait is how long a round stays open.
func (r *rounds) wait() time.Duration {
	if !r.awaited {
		return patience
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return time.Until(r.began.Add(pace))
}
