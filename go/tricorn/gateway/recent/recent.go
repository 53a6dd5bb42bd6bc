// Package recent remembers a bounded number of things that are looked for again and again.
package recent

import (
	"sync"
	"sync/atomic"
)

const shards = 16

// Memory knows things by a hash of what they are known by, so that a long text is hashed once; of two with the same one the later is remembered, and
// whoever finds one looks whether it is the right one. When it is full the oldest leaves that was not looked for again since it was looked at.
type Memory[T remembered] struct {
	shards [shards]shard[T]
}

type remembered interface {
	comparable
	use() *Use
}

// Use is embedded in what a Memory remembers.
type Use struct{ again atomic.Bool }

func (u *Use) use() *Use { return u }

type shard[T remembered] struct {
	mutex sync.RWMutex
	known map[uint64]T
	// ring has the hashes in the order they came; next is where the oldest stands once it is full.
	ring []uint64
	next int
}

// New remembers nothing yet, and later at most about so many.
func New[T remembered](most int) *Memory[T] {
	made := &Memory[T]{}
	for i := range made.shards {
		made.shards[i] = shard[T]{known: make(map[uint64]T), ring: make([]uint64, max(1, most/shards))}
	}
	return made
}

// Get gives what is known by a hash; nil: nothing.
func (m *Memory[T]) Get(hash uint64) T {
	in := &m.shards[hash%shards]
	in.mutex.RLock()
	found := in.known[hash]
	in.mutex.RUnlock()
	var none T
	if found != none {
		if again := &found.use().again; !again.Load() { // what is written to is out of the other processors' caches
			again.Store(true)
		}
	}
	return found
}

// Put remembers, in place of what had the same hash.
func (m *Memory[T]) Put(hash uint64, what T) {
	in := &m.shards[hash%shards]
	in.mutex.Lock()
	defer in.mutex.Unlock()
	if _, known := in.known[hash]; !known {
		var none T
		for oldest := in.oldest(); oldest != none && oldest.use().again.Swap(false); oldest = in.oldest() {
			in.next = (in.next + 1) % len(in.ring)
		}
		delete(in.known, in.ring[in.next])
		in.ring[in.next] = hash
		in.next = (in.next + 1) % len(in.ring)
	}
	in.known[hash] = what
}

func (s *shard[T]) oldest() T { return s.known[s.ring[s.next]] }
