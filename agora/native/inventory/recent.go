package inventory

import (
	"sync"

	"github.com/google/uuid"

	"agora/native/inventory/stock"
)

// How many allocations at least are remembered, and at most some twice as many: 200 bytes for a reservation's first, 40 for each other.
const leastRemembered = 10_000

// recent is what was reserved here lately: a reservation's allocations never change. What became of it since is not known. The zero value is
// empty; it is safe for use by many at once.
type recent struct {
	mutex sync.Mutex
	// What is older than all of the one goes with the other.
	young, old map[uuid.UUID]stock.Reservation
	// Allocations of the young ones.
	count int
}

func (r *recent) add(made stock.Reservation) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.young == nil || r.count >= leastRemembered {
		r.young, r.old, r.count = map[uuid.UUID]stock.Reservation{}, r.young, 0
	}
	// Whoever asks with a key once more gets the same one.
	r.count += len(made.Allocations) - len(r.young[made.ID].Allocations)
	r.young[made.ID] = made
}

// take gives a reservation and forgets it, since it is hardly ever asked for again; false when it is not remembered.
func (r *recent) take(id uuid.UUID) (stock.Reservation, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	found, there := r.young[id]
	r.count -= len(found.Allocations)
	if !there {
		found, there = r.old[id]
	}
	delete(r.young, id)
	delete(r.old, id)
	return found, there
}
