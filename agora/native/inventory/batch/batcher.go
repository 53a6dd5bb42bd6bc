package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Batcher collects calls and has a store run them in batches. Make one with New and end it with Close.
type Batcher[K comparable, Q, A any] struct {
	store   Store[Q, A]
	needs   func(Q) []K
	options Options
	// Ends what runs when Close is given up.
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// A task for whoever has ended one: a goroutine that stays has the stack already that a statement needs.
	next chan func()

	mutex  sync.Mutex
	lanes  *lanes[K, Q, A]
	closed bool
	// Closed when there is nothing left to do after closed was set.
	idle chan struct{}
	// Calls that wait, run, or are about to be run again.
	open             int
	workers, waiters int
	// What waits for a waiter's place, the oldest first.
	queued []func()
	// Until when the next batch waits for so many calls, as long as the last one took, at most Linger.
	lingering time.Time
	company   int
	patience  time.Duration
	// Looks again when the waiting is over, at the time of waking.
	timer  *time.Timer
	waking time.Time
}

// New is a batcher that serves at once. needs says what a piece of work needs for itself alone; there is at least one.
func New[K comparable, Q, A any](store Store[Q, A], needs func(Q) []K, options Options) *Batcher[K, Q, A] {
	if options.Observer == nil {
		options.Observer = silent{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Batcher[K, Q, A]{
		store: store, needs: needs, options: options, ctx: ctx, cancel: cancel,
		lanes: newLanes[K, Q, A](), idle: make(chan struct{}), next: make(chan func()),
	}
}

// Do has a piece of work run in some batch. When the context ends first, its error comes back at once: work that has not
// begun by then never will, of what has begun nobody is told.
func (b *Batcher[K, Q, A]) Do(ctx context.Context, work Q) (A, error) {
	c := &call[K, Q, A]{
		Call: Call[Q]{Work: work, ctx: ctx}, needs: b.needs(work), since: time.Now(), done: make(chan Outcome[A], 1),
	}
	if err := b.enter(c); err != nil {
		return *new(A), err
	}
	select {
	case outcome := <-c.done:
		return outcome.Answer, outcome.Err
	case <-ctx.Done():
		b.mutex.Lock()
		if b.lanes.remove(c) {
			b.settled(1)
		}
		b.mutex.Unlock()
		return *new(A), context.Cause(ctx)
	}
}

// Close takes nothing more, and waits until what was taken is done. When the context ends first, what runs is broken off.
func (b *Batcher[K, Q, A]) Close(ctx context.Context) error {
	b.mutex.Lock()
	if !b.closed {
		b.closed = true
		b.settled(0)
	}
	b.mutex.Unlock()
	var err error
	select {
	case <-b.idle:
	case <-ctx.Done():
		err = fmt.Errorf("waiting for batches to end: %w", context.Cause(ctx))
	}
	b.cancel()
	b.tasks.Wait()
	return err
}

func (b *Batcher[K, Q, A]) enter(c *call[K, Q, A]) error {
	free, err := b.join(c)
	if err != nil {
		return err
	}
	if free {
		// What has arrived with it but has not been read yet shares its batch.
		runtime.Gosched()
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.dispatch()
	return nil
}

// join lets a call wait, and tells whether a batch could begin.
func (b *Batcher[K, Q, A]) join(c *call[K, Q, A]) (free bool, err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.closed {
		return false, ErrClosed
	}
	if err := c.Gone(); err != nil {
		return false, context.Cause(c.ctx)
	}
	if b.lanes.count >= b.options.Waiting {
		return false, ErrFull
	}
	b.open++
	b.lanes.add(c, false)
	return b.workers < b.options.Workers, nil
}

// dispatch starts what batches it can. The mutex is held, here and in all that follow down to settled.
func (b *Batcher[K, Q, A]) dispatch() {
	defer func() { b.options.Observer.Waiting(b.lanes.count) }()
	for b.workers < b.options.Workers && b.lanes.count > 0 {
		if left := time.Until(b.lingering); left > 0 && b.lanes.count < b.company && !b.closed {
			b.wakeIn(left)
			return
		}
		batch, gone := b.lanes.next(b.options.Largest)
		for _, c := range gone {
			b.tell(c, Outcome[A]{Err: context.Cause(c.ctx)})
		}
		if len(batch) == 0 {
			return
		}
		b.workers++
		if len(batch) > 1 {
			// What comes meanwhile shares the next one, unless this one takes unusually long.
			b.lingering, b.company = time.Now().Add(2*b.patience), b.options.Largest
		}
		b.start(func() { b.work(batch) })
	}
}

func (b *Batcher[K, Q, A]) wakeIn(left time.Duration) {
	switch {
	case b.timer == nil:
		b.timer = time.AfterFunc(left, func() {
			b.mutex.Lock()
			defer b.mutex.Unlock()
			b.waking = time.Time{}
			b.dispatch()
		})
	case !b.waking.Equal(b.lingering):
		b.timer.Reset(left)
	}
	b.waking = b.lingering
}

// start runs a task that Close waits for.
func (b *Batcher[K, Q, A]) start(task func()) {
	select {
	case b.next <- task:
	default:
		b.tasks.Go(func() { b.stay(task) })
	}
}

// stay runs a task, and those that come after it.
func (b *Batcher[K, Q, A]) stay(task func()) {
	for {
		task()
		select {
		case task = <-b.next:
		case <-b.ctx.Done():
			return
		}
	}
}

// wait gives a task one of the waiters' places, as soon as there is one.
func (b *Batcher[K, Q, A]) wait(task func()) {
	if b.waiters == b.options.Waiters {
		b.queued = append(b.queued, task)
		return
	}
	b.waiters++
	b.start(func() {
		task()
		b.mutex.Lock()
		defer b.mutex.Unlock()
		b.waiters--
		if len(b.queued) > 0 {
			next := b.queued[0]
			b.queued = b.queued[1:]
			b.wait(next)
		}
	})
}

func (b *Batcher[K, Q, A]) tell(c *call[K, Q, A], outcome Outcome[A]) {
	c.done <- outcome
	b.settled(1)
}

func (b *Batcher[K, Q, A]) settled(calls int) {
	b.open -= calls
	if b.closed && b.open == 0 {
		select {
		case <-b.idle:
		default:
			close(b.idle)
		}
	}
}

// work runs an eager batch, and hands on what is to be run again.
func (b *Batcher[K, Q, A]) work(batch []*call[K, Q, A]) {
	began := time.Now()
	results := b.run(batch, Eager)
	ended := time.Now()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.workers--
	if len(batch) > 1 {
		// Whoever is answered now may ask again at once.
		b.patience = min(ended.Sub(began), b.options.Linger)
		b.lingering, b.company = ended.Add(b.patience), len(batch)+b.lanes.count
	}
	for _, r := range results {
		mark(b.lanes.busy, r.needs, -1)
	}
	held := b.concluded(results)
	byLane := map[K][]*call[K, Q, A]{}
	for _, c := range held {
		byLane[c.needs[0]] = append(byLane[c.needs[0]], c)
	}
	for _, calls := range byLane {
		b.waitWith(calls, Patient)
	}
	b.dispatch()
}

// waitWith runs calls that were left out beside the eager batches.
func (b *Batcher[K, Q, A]) waitWith(calls []*call[K, Q, A], manner Manner) {
	for _, c := range calls {
		mark(b.lanes.stuck, c.needs, 1)
	}
	b.wait(func() {
		results := b.run(calls, manner)
		b.mutex.Lock()
		defer b.mutex.Unlock()
		for _, r := range results {
			mark(b.lanes.stuck, r.needs, -1)
		}
		for held := b.concluded(results); len(held) > 0; {
			alike := slices.DeleteFunc(slices.Clone(held), func(c *call[K, Q, A]) bool {
				return !slices.Equal(c.needs, held[0].needs)
			})
			held = slices.DeleteFunc(held, func(c *call[K, Q, A]) bool { return slices.Equal(c.needs, alike[0].needs) })
			b.waitWith(alike, Stubborn)
		}
		b.dispatch()
	})
}

// concluded tells callers their outcomes, sees to what is to be run again, and gives back what is held by somebody else.
func (b *Batcher[K, Q, A]) concluded(results []result[K, Q, A]) (held []*call[K, Q, A]) {
	for _, r := range results {
		if r.outcome.Next == Held {
			held = append(held, r.call)
			continue
		}
		b.conclude(r)
	}
	return held
}

// conclude tells a caller the outcome, or puts the call where it will be run again.
func (b *Batcher[K, Q, A]) conclude(r result[K, Q, A]) {
	c := r.call
	if r.outcome.Next == Settled {
		b.tell(c, r.outcome)
		return
	}
	c.attempts++
	switch {
	case c.Gone() != nil:
		b.tell(c, Outcome[A]{Err: context.Cause(c.ctx)})
	case c.attempts >= b.options.Attempts:
		b.tell(c, Outcome[A]{Err: ErrUnsettled})
	case r.outcome.Wait == nil:
		b.lanes.add(c, true)
	case c.attempts > b.options.Attempts*2/3:
		// Somebody was faster after every wait: now the others wait for this one.
		b.waitWith([]*call[K, Q, A]{c}, Stubborn)
	default:
		b.wait(func() { b.waitFor(c, r.outcome.Wait) })
	}
}

func (b *Batcher[K, Q, A]) waitFor(c *call[K, Q, A], wait func(context.Context) error) {
	ctx, cancel := b.within(c.ctx)
	err := wait(ctx)
	cancel()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if err != nil {
		b.tell(c, Outcome[A]{Err: err})
		return
	}
	b.lanes.add(c, true)
	b.dispatch()
}

// within is a caller's context that ends with the batcher as well.
func (b *Batcher[K, Q, A]) within(ctx context.Context) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithTimeout(ctx, b.options.Longest)
	stop := context.AfterFunc(b.ctx, cancel)
	return limited, func() { stop(); cancel() }
}

type result[K comparable, Q, A any] struct {
	*call[K, Q, A]
	outcome Outcome[A]
}

// run has the store run calls, and their halves where one of them may be at fault. The mutex is not held.
func (b *Batcher[K, Q, A]) run(batch []*call[K, Q, A], manner Manner) []result[K, Q, A] {
	results := make([]result[K, Q, A], 0, len(batch))
	calls := make([]Call[Q], 0, len(batch))
	running := make([]*call[K, Q, A], 0, len(batch))
	oldest := time.Now()
	for _, c := range batch {
		// Halves that run later may have been waited for too long.
		if c.Gone() != nil {
			results = append(results, result[K, Q, A]{c, Outcome[A]{Err: context.Cause(c.ctx)}})
			continue
		}
		running, calls = append(running, c), append(calls, c.Call)
		if c.since.Before(oldest) {
			oldest = c.since
		}
	}
	if len(running) == 0 {
		return results
	}
	started := time.Now()
	outcomes, err := b.once(calls, manner)
	b.options.Observer.Ran(manner, len(calls), started.Sub(oldest), time.Since(started))
	switch {
	case err == nil:
		for at, outcome := range outcomes {
			results = append(results, result[K, Q, A]{running[at], outcome})
		}
	case len(running) > 1 && IsDivisible(err):
		middle := len(running) / 2
		results = append(results, b.run(running[:middle], manner)...)
		results = append(results, b.run(running[middle:], manner)...)
	default:
		for _, c := range running {
			results = append(results, result[K, Q, A]{c, Outcome[A]{Err: err}})
		}
	}
	return results
}

// once makes sure that every call has an outcome, whatever the store does.
func (b *Batcher[K, Q, A]) once(calls []Call[Q], manner Manner) (outcomes []Outcome[A], err error) {
	ctx, cancel := context.WithTimeout(b.ctx, b.options.Longest)
	defer cancel()
	defer func() {
		if broken := recover(); broken != nil {
			outcomes, err = nil, fmt.Errorf("batch: running %d calls: %v", len(calls), broken)
		}
	}()
	outcomes, err = b.store.Run(ctx, calls, manner)
	if err == nil && len(outcomes) != len(calls) {
		return nil, errors.New("batch: the store left calls without an outcome")
	}
	return outcomes, err
}
