package limits

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

const shards = 64

// Memory keeps the numbers of this process, for a bounded number of callers; of more, those seen longest ago start
// afresh. Callers are spread over shards, so that one busy caller holds up few others.
type Memory struct {
	seed   maphash.Seed
	since  func() time.Duration
	shards []shard
}

type shard struct {
	mu       sync.Mutex
	capacity int
	callers  map[string]*caller
	// order is a ring through all callers: after it comes who was seen last, before it who was seen longest ago.
	order caller
}

type caller struct {
	key     string
	arrival float64
	// moved is when it last came to the front, on the same clock.
	moved         float64
	before, after *caller
}

// often is the time in seconds within which a caller who comes again keeps its place in the order: to move it touches its neighbours' memory.
const often = 10.0

func (c *caller) leave() {
	c.before.after, c.after.before = c.after, c.before
}

func (s *shard) toFront(c *caller, now float64) {
	c.moved, c.before, c.after = now, &s.order, s.order.after
	c.before.after, c.after.before = c, c
}

// NewMemory keeps the numbers of at most about entries callers. clock is the time since some fixed moment; nil: that of
// the process.
func NewMemory(clock func() time.Duration, entries int) *Memory {
	if clock == nil {
		began := time.Now()
		clock = func() time.Duration { return time.Since(began) }
	}
	count := min(shards, max(1, entries/16))
	memory := &Memory{seed: maphash.MakeSeed(), since: clock, shards: make([]shard, count)}
	for i := range memory.shards {
		part := &memory.shards[i]
		part.capacity, part.callers = max(1, entries/count), make(map[string]*caller)
		part.order.before, part.order.after = &part.order, &part.order
	}
	return memory
}

// Take implements Store. It never fails.
func (m *Memory) Take(_ context.Context, key string, rate Rate) (Verdict, error) {
	return m.TakeNow(key, rate), nil
}

// TakeNow is Take for those who know that nothing is waited for.
func (m *Memory) TakeNow(key string, rate Rate) Verdict {
	part := &m.shards[maphash.String(m.seed, key)%uint64(len(m.shards))]
	part.mu.Lock()
	defer part.mu.Unlock()
	now := m.since().Seconds()
	known := part.callers[key]
	arrival := now
	if known != nil {
		arrival = known.arrival
	}
	verdict, next := decide(now, arrival, rate)
	if !verdict.Allowed {
		return verdict
	}
	switch {
	case known == nil:
		known = &caller{key: key}
		part.callers[key] = known
		part.toFront(known, now)
	case now-known.moved >= often: // it may be forgotten sooner than one who came since: only among so many that the shard is full
		known.leave()
		part.toFront(known, now)
	}
	known.arrival = next
	if len(part.callers) > part.capacity {
		oldest := part.order.before
		oldest.leave()
		delete(part.callers, oldest.key)
	}
	return verdict
}

// Len is how many callers are remembered.
func (m *Memory) Len() int {
	total := 0
	for i := range m.shards {
		m.shards[i].mu.Lock()
		total += len(m.shards[i].callers)
		m.shards[i].mu.Unlock()
	}
	return total
}
