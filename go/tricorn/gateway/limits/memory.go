package limits

import (
	"cmp"
	"context"
	"hash/maphash"
	"sync"
	"time"

	"tricorn/gateway/exchange"
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
	arrival float64
	// moved is when it last came to the front, on the same clock.
	moved float64
	class string
	in    *shard
	// forgotten callers start afresh.
	forgotten     bool
	key           string
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
	verdict, _ := m.find(key).take(key, "", m.since, rate)
	return verdict
}

// TakeCaller implements Store: the caller's number is looked up once. It never fails.
func (m *Memory) TakeCaller(_ context.Context, class string, user *exchange.Caller, rate Rate) (Verdict, error) {
	if known, _ := user.Counted.Load().(*caller); known != nil {
		if verdict, ok := known.in.again(known, class, m.since, rate); ok {
			return verdict, nil
		}
	}
	key := Key(class, user.Identity.UserID)
	verdict, known := m.find(key).take(key, class, m.since, rate)
	if known != nil {
		user.Counted.Store(known)
	}
	return verdict, nil
}

func (m *Memory) find(key string) *shard {
	return &m.shards[maphash.String(m.seed, key)%uint64(len(m.shards))]
}

// again counts a request of who was found before; false when they were forgotten since, or it was in another class.
func (s *shard) again(known *caller, class string, since func() time.Duration, rate Rate) (Verdict, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known.forgotten || known.class != class {
		return Verdict{}, false
	}
	return s.count(known, since().Seconds(), rate), true
}

// take counts a request of whoever has the key, in a class if it is known; it gives nobody when it was the first one and refused.
func (s *shard) take(key, class string, since func() time.Duration, rate Rate) (Verdict, *caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := since().Seconds()
	if known := s.callers[key]; known != nil {
		known.class = cmp.Or(class, known.class)
		return s.count(known, now, rate), known
	}
	verdict, next := decide(now, now, rate)
	if !verdict.Allowed {
		return verdict, nil
	}
	known := &caller{key: key, class: class, in: s, arrival: next}
	s.callers[key] = known
	s.toFront(known, now)
	if len(s.callers) > s.capacity {
		oldest := s.order.before
		oldest.leave()
		oldest.forgotten = true
		delete(s.callers, oldest.key)
	}
	return verdict, known
}

func (s *shard) count(known *caller, now float64, rate Rate) Verdict {
	verdict, next := decide(now, known.arrival, rate)
	if !verdict.Allowed {
		return verdict
	}
	if now-known.moved >= often { // it may be forgotten sooner than one who came since: only among so many that the shard is full
		known.leave()
		s.toFront(known, now)
	}
	known.arrival = next
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
