package prove

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tricorn/contract"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

const (
	takeCalls = "tricorn.v1.TapsService/TakeCalls"

	mostWaiting      = 2000
	mostWaitingBytes = 32 * 1024 * 1024
	atOnce           = 100
	bytesAtOnce      = 1024 * 1024
	// largestCopy fits into a message with all that is said beside it.
	largestCopy = wire.MaxMessageBytes - 64*1024

	// gathering is how long a copy waits for others to go with it.
	gathering = 50 * time.Millisecond
	rest      = 500 * time.Millisecond
	lastWords = time.Second
)

// copies wait to be handed on; those that were lost are counted.
type copies struct {
	process   string
	directory *wire.Directory
	wake      chan struct{}

	mutex   sync.Mutex
	waiting []*tricornv1.CopiedCall
	bytes   int
	missing map[sample]lost
}

// sample is what calls of a method were drawn for: a recording, or else the comparison with an implementation.
type sample struct{ method, recording, comparedWith string }

type lost struct{ dropped, tooLarge int64 }

func newCopies(process string, directory *wire.Directory) *copies {
	return &copies{process: process, directory: directory, wake: make(chan struct{}, 1), missing: map[sample]lost{}}
}

// put adds a copy, which nobody changes any more, if there is room.
func (c *copies) put(call *tricornv1.CopiedCall) {
	size := proto.Size(call)
	c.mutex.Lock()
	switch {
	case size > largestCopy:
		c.lose(call, lost{tooLarge: 1})
	case len(c.waiting) >= mostWaiting || c.bytes+size > mostWaitingBytes:
		c.lose(call, lost{dropped: 1})
	default:
		c.waiting = append(c.waiting, call)
		c.bytes += size
	}
	c.mutex.Unlock()
	c.rouse()
}

func (c *copies) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// lose counts a call for everybody who wanted it. The mutex is held.
func (c *copies) lose(call *tricornv1.CopiedCall, more lost) {
	for _, each := range call.GetRecordings() {
		c.count(sample{method: call.GetMethod(), recording: each}, more)
	}
	if compare := call.GetCompare(); compare != nil {
		c.count(sample{method: call.GetMethod(), comparedWith: compare.GetImplementation()}, more)
	}
}

func (c *copies) count(of sample, more lost) {
	now := c.missing[of]
	c.missing[of] = lost{now.dropped + more.dropped, now.tooLarge + more.tooLarge}
}

// run hands on what waits until the context ends, then what is left.
func (c *copies) run(ctx context.Context) {
	policy, err := contract.MethodPolicy(takeCalls)
	if err != nil {
		log.ErrorContext(ctx, "calls cannot be recorded or compared", "error", err)
		return
	}
	for ctx.Err() == nil {
		select {
		case <-c.wake:
			pause(ctx, gathering)
			if !c.handOn(ctx, context.WithoutCancel(ctx), policy) {
				pause(ctx, rest)
				c.rouse()
			}
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	c.handOn(ctx, ctx, policy)
}

// handOn sends what waits until the context ends; false when some of it found nobody, and is missing from now on. Each message is sent under asking,
// which outlasts the context where what was begun is not to be broken off: it may have been taken.
func (c *copies) handOn(ctx, asking context.Context, policy *contract.Policy) bool {
	for ctx.Err() == nil {
		messages, more := c.take()
		arrived := true
		for address, message := range messages {
			if _, err := c.directory.Ask(asking, address, policy, message); err != nil {
				c.giveBack(message)
				arrived = false
				if calls := len(message.GetCalls()); calls > 0 {
					log.WarnContext(ctx, "copies of calls were not taken", "address", address, "calls", calls, "error", err)
				}
			}
		}
		if !arrived || !more {
			return arrived
		}
	}
	return true
}

// take gives the next copies and what is missing by now, by the address of a process that has the reference of their contract, and tells whether
// more are waiting. What has its reference nowhere stays missing.
func (c *copies) take() (messages map[string]*tricornv1.TakeCallsRequest, more bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	messages = map[string]*tricornv1.TakeCallsRequest{}
	places := map[string]string{}
	to := func(method string) *tricornv1.TakeCallsRequest {
		service, _, _ := strings.Cut(method, "/")
		address, ok := places[service]
		if !ok {
			address = c.addressOf(service)
			places[service] = address
		}
		if address != "" && messages[address] == nil {
			messages[address] = &tricornv1.TakeCallsRequest{Process: c.process}
		}
		return messages[address]
	}
	taken, size := 0, 0
	for taken < min(len(c.waiting), atOnce) && size < bytesAtOnce {
		call := c.waiting[taken]
		next := proto.Size(call)
		if taken > 0 && size+next > bytesAtOnce {
			break
		}
		taken, size = taken+1, size+next
		if there := to(call.GetMethod()); there != nil {
			there.Calls = append(there.Calls, call)
		} else {
			c.lose(call, lost{dropped: 1})
		}
	}
	clear(c.waiting[:taken])
	c.waiting, c.bytes = c.waiting[taken:], c.bytes-size
	for of, counted := range c.missing {
		if there := to(of.method); there != nil {
			there.Missing = append(there.Missing, described(of, counted))
			delete(c.missing, of)
		}
	}
	return messages, len(c.waiting) > 0
}

// giveBack counts all that a message says as missing.
func (c *copies) giveBack(message *tricornv1.TakeCallsRequest) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, call := range message.GetCalls() {
		c.lose(call, lost{dropped: 1})
	}
	for _, each := range message.GetMissing() {
		c.count(sample{each.GetMethod(), each.GetRecording(), each.GetComparedWith()}, lost{each.GetDropped(), each.GetTooLarge()})
	}
}

// addressOf gives one of the addresses where a contract's reference is; empty where there is none.
func (c *copies) addressOf(service string) string {
	known := c.directory.Addresses()[service][wire.Reference]
	if len(known) == 0 {
		return ""
	}
	return known[rand.IntN(len(known))]
}

func described(of sample, counted lost) *tricornv1.MissingCalls {
	made := &tricornv1.MissingCalls{Method: of.method, Dropped: counted.dropped, TooLarge: counted.tooLarge}
	if of.recording != "" {
		made.Sample = &tricornv1.MissingCalls_Recording{Recording: of.recording}
	} else {
		made.Sample = &tricornv1.MissingCalls_ComparedWith{ComparedWith: of.comparedWith}
	}
	return made
}

func pause(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
