// Package cache keeps answers that may be given again, as the policy of a method allows.
//
// Whoever changes something through this gateway reads it back at once: an answer counts for a caller only if the
// question to the backend began after the caller's last call with effects had ended. So one shared entry serves everyone
// else while it is still good. An answer is good as long as the implementations that made it are bound, and nothing was
// said to have changed since.
//
// An answer is given again without a question until the last fifth of its time. In that it is still given, while one
// question renews it. It is never older than the contract allows.
package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"tricorn/gateway/exchange"
)

// Key tells answers apart. User is empty where answers are the same for all, else who asks, with their roles, in one text.
type Key struct {
	Method string
	User   string
	Roles  string
	// Request is what of the request matters, and which form of the answer is given.
	Request string
}

// Answer is what is kept: a good answer's body and the headers that depend on it.
type Answer = exchange.Answer

// Found is an answer on its way to a caller.
type Found struct {
	*Answer
	// Again says that the answer was made for an earlier question, Age seconds ago.
	Again bool
	Age   time.Duration
	kept  *entry // nil: it was not kept when it was found
}

// Ask puts the question to the backend. Its context outlives the caller who happened to be first, so Ask sets a time
// limit of its own.
type Ask func(context.Context) (*Answer, error)

type renewal struct{}

// Renewing reports whether a question in this process renews an answer that is still good, so that its caller does not wait: whoever answers
// may take a moment to put such questions together.
func Renewing(ctx context.Context) bool { return ctx.Value(renewal{}) != nil }

// Options says how large a cache is and what ends its answers.
type Options struct {
	// Bytes is the most that all bodies take, packed forms included; small ones that stay at hand of callers come on top.
	Bytes uint64
	// LongestTTL is the longest time that any answer may be kept.
	LongestTTL time.Duration
	// Generation is that of the bindings that hold now. An answer may rest on many contracts, so any change ends it.
	Generation func() int64
	// Second is shared with other gateways; nil: there is none.
	Second Second
	// Clock is the time since some fixed moment; nil: that of the process.
	Clock func() time.Duration
	// Silent are methods whose answers do not say how old they are: they end as soon as they change.
	Silent map[string]time.Duration
}

type entry struct {
	answer          *Answer
	method, request string // of its key
	writer          uint64 // whose it is; zero for everybody's
	began           time.Duration
	expires         time.Duration
	generation      int64
	epoch           uint64
	renewing        atomic.Bool
}

// renewedIn is the part of its time, the last one, in which an answer is renewed: short, since each renewal costs a question,
// and long enough for a slow one.
const renewedIn = 5

// overhead is what an entry takes besides its body.
const overhead = 512

// Answers is a bounded cache that lets one question at a time go to the backend for each key.
type Answers struct {
	options Options
	entries *otter.Cache[Key, *entry]
	writes  *writes
	epochs  epochs

	mu      sync.Mutex
	flights map[Key]*flight
}

type flight struct {
	began time.Duration
	// second says that the answer may come from the second cache, and so be older than the question.
	second     bool
	generation int64
	epoch      uint64
	done       chan struct{}
	answer     *Answer
	err        error
}

// over is the end of a flight that landed before it was joined.
var over = func() chan struct{} {
	made := make(chan struct{})
	close(made)
	return made
}()

// New makes an empty cache; Close ends its upkeep.
func New(options Options) (*Answers, error) {
	if options.Clock == nil {
		began := time.Now()
		options.Clock = func() time.Duration { return time.Since(began) }
	}
	if options.Generation == nil {
		options.Generation = func() int64 { return 0 }
	}
	entries, err := otter.New(&otter.Options[Key, *entry]{
		MaximumWeight: max(options.Bytes, 1),
		Weigher: func(key Key, kept *entry) uint32 {
			return uint32(2*len(kept.answer.Body) + len(key.Request) + overhead)
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(each otter.Entry[Key, *entry]) time.Duration {
			return each.Value.expires - each.Value.began
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache of answers: %w", err)
	}
	return &Answers{
		options: options,
		entries: entries,
		writes:  newWrites(options.Clock, options.LongestTTL),
		epochs:  newEpochs(),
		flights: make(map[Key]*flight),
	}, nil
}

// Close ends the cache's upkeep.
func (c *Answers) Close() { c.entries.StopAllGoroutines() }

// Wrote notes that a call of the user that has effects ended, however it ended; or that something of theirs changed.
func (c *Answers) Wrote(user string) { c.writes.Wrote(user) }

// Clear forgets every answer, those still on their way included.
func (c *Answers) Clear() {
	c.epochs.forgetAll(c.options.Clock())
	c.entries.InvalidateAll()
}

// Forget forgets the answers of methods, those still on their way included: what they said may have changed.
func (c *Answers) Forget(methods ...string) {
	for _, method := range methods {
		c.epochs.forget(method, c.options.Clock())
	}
}

// Get gives an answer that is good enough for this caller (empty: nobody in particular), asking when there is none. A
// failure is nobody's to keep.
func (c *Answers) Get(ctx context.Context, key Key, ttl time.Duration, user string, ask Ask) (Found, error) {
	now, since := c.options.Clock(), c.writes.Since(c.writes.writer(user))
	if kept, ok := c.entries.GetIfPresent(key); ok && c.isGood(kept, now, since) {
		age := now - kept.began
		if age > early(ttl) && kept.renewing.CompareAndSwap(false, true) {
			c.fly(context.WithValue(ctx, renewal{}, true), key, ttl, since, ask, false)
		}
		return Found{kept.answer, true, age, kept}, nil
	}
	going := c.fly(ctx, key, ttl, since, ask, true)
	select {
	case <-going.done:
		return Found{Answer: going.answer}, going.err
	case <-ctx.Done():
		return Found{}, context.Cause(ctx)
	}
}

// early is how old an answer may be before it is renewed.
func early(ttl time.Duration) time.Duration { return ttl - ttl/renewedIn }

// isGood tells whether an entry still counts for who last wrote at since: its question began later.
func (c *Answers) isGood(kept *entry, now, since time.Duration) bool {
	return kept.expires > now && kept.began > since &&
		kept.generation == c.options.Generation() && kept.epoch == c.epochs.of(kept.method)
}

// fly joins somebody else's question that is good enough, or asks.
func (c *Answers) fly(
	ctx context.Context, key Key, ttl, since time.Duration, ask Ask, useSecond bool,
) *flight {
	generation, epoch := c.options.Generation(), c.epochs.of(key.Method)
	shared := c.options.Second != nil && c.sharable(key, ttl, since)
	c.mu.Lock()
	defer c.mu.Unlock()
	going := c.flights[key]
	if going != nil && going.began > since && going.generation == generation && going.epoch == epoch &&
		(shared || !going.second) {
		return going
	}
	if useSecond {
		// Its answer may have come since the caller looked.
		if kept, ok := c.entries.GetIfPresent(key); ok && c.isGood(kept, c.options.Clock(), since) {
			return &flight{done: over, answer: kept.answer}
		}
	}
	going = &flight{
		began: c.options.Clock(), second: useSecond && shared, generation: generation, epoch: epoch,
		done: make(chan struct{}),
	}
	c.flights[key] = going
	go c.run(context.WithoutCancel(ctx), key, ttl, going, shared, ask)
	return going
}

func (c *Answers) run(
	ctx context.Context, key Key, ttl time.Duration, going *flight, shared bool, ask Ask,
) {
	defer close(going.done)
	kept := &entry{
		method: key.Method, request: key.Request, writer: c.writes.writer(key.User),
		began: going.began, expires: going.began + ttl, generation: going.generation, epoch: going.epoch,
	}
	if going.second {
		if answer, left, ok := c.options.Second.Get(ctx, c.sharedKey(key, going.generation)); ok && left <= ttl {
			kept.answer = answer
			kept.began, kept.expires = going.began-(ttl-left), going.began+left
		}
	}
	if kept.answer == nil {
		kept.answer, going.err = safely(ctx, ask)
		if going.err == nil && shared {
			left := ttl - (c.options.Clock() - going.began)
			c.options.Second.Put(ctx, c.sharedKey(key, going.generation), kept.answer, left)
		}
	}
	going.answer = kept.answer
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] != going {
		return
	}
	delete(c.flights, key)
	if going.err == nil && uint64(len(kept.answer.Body)) <= c.options.Bytes/16 {
		c.entries.Set(key, kept)
	} else if old, ok := c.entries.GetIfPresent(key); ok {
		old.renewing.Store(false)
	}
}

// sharable reports whether what other gateways said can hold here: nothing that they may not know of was written or
// announced while an answer of theirs may still be kept. Only this process's clock is asked.
func (c *Answers) sharable(key Key, ttl, since time.Duration) bool {
	quiet := c.options.Clock() - 2*ttl
	return since < quiet && c.epochs.changed(key.Method) < quiet
}

// safely asks; a panic becomes an error, since it would otherwise end the process and not only the request.
func safely(ctx context.Context, ask Ask) (answer *Answer, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			answer, err = nil, fmt.Errorf("panic behind the cache: %v\n%s", panicked, debug.Stack())
		}
	}()
	return ask(ctx)
}
