package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Answer is how one request ended. OK says whether it was answered as it should be.
type Answer struct {
	Status int
	OK     bool
}

// NotSent is the status of a request whose turn did not come before the run was over.
const NotSent = -1

// Caller sends requests one after the other; each caller is used by one goroutine.
type Caller interface {
	// Call sends one request and waits for its whole answer, until the context ends.
	Call(ctx context.Context, request []byte) Answer
	// Close gives back what the caller holds.
	Close()
}

// Options say how long a run takes and at which pace.
type Options struct {
	Duration time.Duration
	// Rate is requests a second in an open loop; 0 is a closed loop, in which each caller sends its next request when the last one was
	// answered.
	Rate float64
	// Patience is how long the open loop waits for answers when its time is over.
	Patience time.Duration
	Seed     uint64
	// Once asks for everything of the first class one time instead, as fast as it is answered, so that caches know it afterwards.
	Once bool
}

// Run asks what the plan says through the callers, which it closes. In the open loop a latency counts from the moment at which the request
// should have been sent, so that a server that falls behind is not spared.
func Run(ctx context.Context, plan *Plan, callers []Caller, options Options) *Report {
	recorder := newRecorder(plan)
	ctx, cancel := context.WithTimeout(ctx, options.Duration+options.Patience)
	defer cancel()
	before, began := cpuSeconds(), time.Now()
	due := make(chan time.Time, int(options.Rate*options.Duration.Seconds())+1)
	var working sync.WaitGroup
	for number, caller := range callers {
		dice := rand.New(rand.NewPCG(options.Seed, uint64(number)))
		working.Go(func() {
			defer caller.Close()
			switch {
			case options.Once:
				once(ctx, plan, caller, recorder, number, len(callers))
			case options.Rate > 0:
				open(ctx, plan, caller, recorder, dice, due)
			default:
				closed(ctx, plan, caller, recorder, dice, began.Add(options.Duration))
			}
		})
	}
	if options.Rate > 0 && !options.Once {
		schedule(ctx, began, options, due)
	}
	close(due)
	working.Wait()
	seconds := time.Since(began).Seconds()
	for moment := range due {
		recorder.add(0, Answer{Status: NotSent}, time.Since(moment), time.Now())
	}
	return recorder.report(plan, seconds, cpuSeconds()-before)
}

func schedule(ctx context.Context, began time.Time, options Options, due chan<- time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for number := range int(options.Rate * options.Duration.Seconds()) {
		moment := began.Add(time.Duration(float64(number) / options.Rate * float64(time.Second)))
		if wait := time.Until(moment); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		due <- moment
	}
}

func open(ctx context.Context, plan *Plan, caller Caller, recorder *recorder, dice *rand.Rand, due <-chan time.Time) {
	var buffer []byte
	for {
		select {
		case <-ctx.Done():
			return
		case moment, more := <-due:
			if !more {
				return
			}
			var class int
			class, buffer = plan.draw(dice, buffer)
			answer := caller.Call(ctx, buffer)
			now := time.Now()
			recorder.add(class, answer, now.Sub(moment), now)
		}
	}
}

func closed(ctx context.Context, plan *Plan, caller Caller, recorder *recorder, dice *rand.Rand, until time.Time) {
	var buffer []byte
	for began := time.Now(); began.Before(until) && ctx.Err() == nil; {
		var class int
		class, buffer = plan.draw(dice, buffer)
		answer := caller.Call(ctx, buffer)
		now := time.Now()
		recorder.add(class, answer, now.Sub(began), now)
		began = now
	}
}

func once(ctx context.Context, plan *Plan, caller Caller, recorder *recorder, first, step int) {
	var buffer []byte
	for number := first; number < plan.all() && ctx.Err() == nil; number += step {
		began := time.Now()
		buffer = plan.Classes[0].write(number, buffer)
		answer := caller.Call(ctx, buffer)
		now := time.Now()
		recorder.add(0, answer, now.Sub(began), now)
	}
}
