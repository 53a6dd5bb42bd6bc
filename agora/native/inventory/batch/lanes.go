package batch

import (
	"container/list"
	"time"
)

// call is a piece of work on its way.
type call[K comparable, Q, A any] struct {
	Call[Q]
	needs    []K
	since    time.Time
	attempts int
	done     chan Outcome[A]
	// Where it waits; nil while it does not.
	lane  *lane[K]
	place *list.Element
}

// lane is the waiting work whose first need is its key.
type lane[K comparable] struct {
	key     K
	waiting *list.List
	turn    *list.Element
}

// lanes is all waiting work, and what running batches need. It is not safe for use by many at once.
type lanes[K comparable, Q, A any] struct {
	byKey map[K]*lane[K]
	// Lanes in the order of their turns.
	turns *list.List
	count int
	// How many running batches need it: eager ones, which end soon, and patient ones, which may not.
	busy, stuck map[K]int
}

func newLanes[K comparable, Q, A any]() *lanes[K, Q, A] {
	return &lanes[K, Q, A]{byKey: map[K]*lane[K]{}, turns: list.New(), busy: map[K]int{}, stuck: map[K]int{}}
}

// add puts a call behind the others of its lane, or before them.
func (l *lanes[K, Q, A]) add(c *call[K, Q, A], first bool) {
	key := c.needs[0]
	in := l.byKey[key]
	if in == nil {
		in = &lane[K]{key: key, waiting: list.New()}
		in.turn = l.turns.PushBack(in)
		l.byKey[key] = in
	}
	c.lane = in
	if first {
		c.place = in.waiting.PushFront(c)
	} else {
		c.place = in.waiting.PushBack(c)
	}
	l.count++
}

// remove takes a waiting call out; false when it does not wait.
func (l *lanes[K, Q, A]) remove(c *call[K, Q, A]) bool {
	if c.lane == nil {
		return false
	}
	in := c.lane
	in.waiting.Remove(c.place)
	c.lane, c.place = nil, nil
	l.count--
	if in.waiting.Len() == 0 {
		l.turns.Remove(in.turn)
		delete(l.byKey, in.key)
	}
	return true
}

// next is the next batch, at most so large: one call of each lane in turn, then another of each. Calls that need what an
// eager batch is busy with keep what else they need from younger ones, so that their turn comes. Calls whose callers have
// gone are put aside.
func (l *lanes[K, Q, A]) next(largest int) (batch, gone []*call[K, Q, A]) {
	barred := map[K]struct{}{}
	for taken := true; taken && len(batch) < largest; {
		taken = false
		for turn, last := l.turns.Front(), l.turns.Back(); turn != nil && len(batch) < largest; {
			here, following := turn.Value.(*lane[K]), turn.Next()
			end := turn == last
			c, left := l.first(here, barred)
			gone = append(gone, left...)
			if c != nil {
				batch = append(batch, c)
				taken = true
				if l.remove(c); here.waiting.Len() > 0 {
					l.turns.MoveToBack(turn)
				}
			}
			if end {
				break
			}
			turn = following
		}
	}
	for _, c := range batch {
		mark(l.busy, c.needs, 1)
	}
	return batch, gone
}

// first is the first call of a lane that may run now.
func (l *lanes[K, Q, A]) first(in *lane[K], barred map[K]struct{}) (found *call[K, Q, A], gone []*call[K, Q, A]) {
	if l.stuck[in.key] > 0 {
		return nil, nil
	}
	for place := in.waiting.Front(); place != nil; {
		c := place.Value.(*call[K, Q, A])
		place = place.Next()
		if c.Gone() != nil {
			l.remove(c)
			gone = append(gone, c)
			continue
		}
		if held(l.stuck, c.needs) {
			continue
		}
		if held(l.busy, c.needs) || overlaps(barred, c.needs) {
			for _, need := range c.needs {
				barred[need] = struct{}{}
			}
			return nil, gone
		}
		return c, gone
	}
	return nil, gone
}

func held[K comparable](counts map[K]int, needs []K) bool {
	for _, need := range needs {
		if counts[need] > 0 {
			return true
		}
	}
	return false
}

func overlaps[K comparable](set map[K]struct{}, needs []K) bool {
	for _, need := range needs {
		if _, there := set[need]; there {
			return true
		}
	}
	return false
}

func mark[K comparable](counts map[K]int, needs []K, by int) {
	for _, need := range needs {
		if counts[need] += by; counts[need] == 0 {
			delete(counts, need)
		}
	}
}
