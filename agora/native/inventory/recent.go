package inventory

import (
	"sync"

	"github.com/google/uuid"

	"agora/native/inventory/stock"
)

// Of how many reservations at least it is remembered what they hold: some 200 bytes each, twice as many at most.
const leastRemembered = 10_000

// recent is what was reserved here lately: a reservation's allocations never change. What became of it since is not known. The zero value is
// empty; it is safe for use by many at once.
type recent struct {
	mutex sync.Mutex
	// What is older than all of the one goes with the other.
	young, old map[uuid.UUID]stock.Reservation
}

func (r *recent) add(made stock.Reservation) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.young == nil || len(r.young) >= leastRemembered {
		r.young, r.old = map[uuid.UUID]stock.Reservation{}, r.young
	}
	r.young[made.ID] = made
}

// take gives a reservation and forgets it, since it is hardly ever asked for again; false when it is not remembered.
func (r *recent) take(id uuid.UUID) (stock.Reservation, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, some := range []map[uuid.UUID]stock.Reservation{r.young, r.old} {
		if found, there := some[id]; there {
			delete(some, id)
			return found, true
		}
	}
	return stock.Reservation{}, false
}
