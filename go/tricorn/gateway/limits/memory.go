package limits

import (
	"container/list"
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
	callers  map[string]*list.Element
	// order has who was seen last in front.
	order *list.List
}

type caller struct {
	key     string
	arrival float64
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
		memory.shards[i] = shard{
			capacity: max(1, entries/count),
			callers:  make(map[string]*list.Element),
			order:    list.New(),
		}
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
	element := part.callers[key]
	arrival := now
	if element != nil {
		arrival = element.Value.(*caller).arrival
	}
	verdict, next := decide(now, arrival, rate)
	if !verdict.Allowed {
		return verdict
	}
	if element != nil {
		element.Value.(*caller).arrival = next
		part.order.MoveToFront(element)
		return verdict
	}
	part.callers[key] = part.order.PushFront(&caller{key, next})
	if part.order.Len() > part.capacity {
		oldest := part.order.Remove(part.order.Back()).(*caller)
		delete(part.callers, oldest.key)
	}
	return verdict
}

// Len is how many callers are remembered.
func (m *Memory) Len() int {
	total := 0
	for i := range m.shards {
		m.shards[i].mu.Lock()
		total += m.shards[i].order.Len()
		m.shards[i].mu.Unlock()
	}
	return total
}
