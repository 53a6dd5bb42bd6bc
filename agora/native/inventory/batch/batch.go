// Package batch takes work that arrives together in few steps that are shared, such as one transaction for many calls.
//
// Each piece of work names what it needs. What is needed first decides the lane in which it waits; lanes take turns, so
// that a long one delays the others by no more than its share of a batch. Two batches that run at once need nothing in
// common. What somebody else holds is waited for by those alone who need it: an eager batch leaves them out at once, a
// patient one of their lane waits a little, and in the end each set of needs waits by itself, all beside the others.
package batch

import (
	"context"
	"errors"
	"time"
)

// Errors of a batcher itself.
var (
	// ErrFull says that as much waits as may wait; nothing was done.
	ErrFull = errors.New("batch: as much is waiting as may wait")
	// ErrClosed says that nothing is taken any more; nothing was done.
	ErrClosed = errors.New("batch: closed")
	// ErrUnsettled says that others were in the way too often; nothing was done.
	ErrUnsettled = errors.New("batch: somebody else was in the way again and again")
)

// Manner is how a batch is run.
type Manner int

const (
	// Eager leaves out what somebody else holds, as Held.
	Eager Manner = iota
	// Patient waits for it a little.
	Patient
	// Stubborn waits for it as long as can be. All work of such a batch has the same needs.
	Stubborn
)

// Next is what becomes of a piece of work that a batch was given.
type Next int

const (
	// Settled work has its answer or its error.
	Settled Next = iota
	// Held work needs what somebody else holds; nothing was done. A stubborn batch never says so.
	Held
	// Again means that nothing was done, or nobody knows: the work, which must allow it, is run once more, after Wait.
	Again
)

// Outcome is what a batch says of one piece of its work.
type Outcome[A any] struct {
	Next   Next
	Answer A
	Err    error
	// Wait, when there is one, ends when running the work again makes sense. It runs beside all batches, and keeps nobody from anything. When
	// two thirds of the attempts are used up, the work is run in a stubborn batch of its own instead.
	Wait func(context.Context) error
}

// Store runs batches.
type Store[Q, A any] interface {
	// Run has one outcome for each piece of work, in their order, or an error: then nothing at all was done. An error that
	// IsDivisible makes the batcher run the halves of the batch, so that in the end only the work at fault has it.
	Run(ctx context.Context, work []Call[Q], manner Manner) ([]Outcome[A], error)
}

// Call is a piece of work and whether anybody still waits for its answer.
type Call[Q any] struct {
	Work Q
	ctx  context.Context
}

// Gone tells whether the caller has given up or its deadline has passed: the work must not be begun.
func (c Call[Q]) Gone() error { return c.ctx.Err() }

// NewCall is a call that a batcher has not made, for tests of stores.
func NewCall[Q any](ctx context.Context, work Q) Call[Q] { return Call[Q]{Work: work, ctx: ctx} }

type divisible struct{ error }

func (d divisible) Unwrap() error { return d.error }

// Divisible marks an error that one piece of work may have brought over a whole batch.
func Divisible(err error) error { return divisible{err} }

// IsDivisible tells whether an error is so marked.
func IsDivisible(err error) bool { return errors.As(err, new(divisible)) }

// Options of a batcher. All but Observer must be given.
type Options struct {
	// Largest is the most pieces of work in a batch.
	Largest int
	// Waiting is the most pieces of work that wait; more are refused with ErrFull.
	Waiting int
	// Workers is how many eager batches run at once, Waiters how many others and waits beside them.
	Workers, Waiters int
	// Linger is how long a batch waits at most for company after one that had some: as long as that took, or until as many wait as it had or left
	// waiting. Where it takes twice as long as the one before, another begins beside it.
	Linger time.Duration
	// Longest is how long one run of a batch may take.
	Longest time.Duration
	// Attempts is how often a piece of work is run before it is ErrUnsettled.
	Attempts int
	// Observer sees what happens.
	Observer Observer
}

// Observer sees what a batcher does. Its methods must be quick and safe for use by many at once.
type Observer interface {
	// Ran is called after a batch: its size, how long its oldest work waited, how long it ran.
	Ran(manner Manner, size int, waited, took time.Duration)
	// Waiting is called when the number of waiting pieces of work changes.
	Waiting(number int)
}

type silent struct{}

func (silent) Ran(Manner, int, time.Duration, time.Duration) {}
func (silent) Waiting(int)                                   {}
