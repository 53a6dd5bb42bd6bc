package postgres

import (
	"bytes"
	"slices"
	"sync"

	"github.com/google/uuid"

	"agora/native/inventory/stock"
)

const (
	// Of how many products it is remembered what there is: some 200 bytes each.
	mostKnown = 20_000
	// How many batches at most are decided without a guess, where guesses have been wrong in a row.
	longestPause = 15
)

// known is what there was of products after the last batch that took of them, or else when somebody read it. Others change stock as well, so that it
// is no more than a guess, by which a batch can be decided before anything is locked: the statement that writes it makes sure that the guess was
// right.
type known struct {
	mutex   sync.Mutex
	shelves map[uuid.UUID][]stock.Shelf
	// A wrong guess costs a trip, and more of them as long as somebody else takes of the same stock; so the next batches do without, one the first
	// time, then more. left is how many still do.
	pause, left int
}

// guess is a decision by what is known.
type guess struct {
	*decision
	there    *present
	products []uuid.UUID
	// Every shelf that was known, as it was, in the order of ids.
	knownProducts, knownWarehouses []uuid.UUID
	knownAvailable                 []int32
	// What the decision takes of them.
	takenProducts, takenWarehouses []uuid.UUID
	takenQuantities                []int32
}

// guess decides claims by what is known; nil when something of what they need is not, or when one of them would be refused: its key may stand for
// a reservation that was made before.
func (k *known) guess(work []call) *guess {
	products, _ := wanted(work)
	slices.SortFunc(products, byID)
	made := &guess{there: &present{}, products: products}
	if !k.look(made) {
		return nil
	}
	made.decision = decide(work, made.there)
	if made.short || len(made.create.Keys) == 0 {
		return nil
	}
	made.sum()
	return made
}

func (g *guess) sum() {
	for at, product := range g.knownProducts {
		warehouse := g.knownWarehouses[at]
		for _, shelf := range g.there.shelves.Of(product) {
			if taken := g.knownAvailable[at] - shelf.Available; shelf.Warehouse == warehouse && taken > 0 {
				g.takenProducts = append(g.takenProducts, product)
				g.takenWarehouses = append(g.takenWarehouses, warehouse)
				g.takenQuantities = append(g.takenQuantities, taken)
			}
		}
	}
}

func byID(one, other uuid.UUID) int { return bytes.Compare(one[:], other[:]) }

func (k *known) look(made *guess) bool {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.left > 0 {
		k.left--
		return false
	}
	for _, product := range made.products {
		shelves, found := k.shelves[product]
		if !found {
			return false
		}
		for _, shelf := range shelves {
			made.there.shelves.Put(product, shelf)
			made.knownProducts = append(made.knownProducts, product)
			made.knownWarehouses = append(made.knownWarehouses, shelf.Warehouse)
			made.knownAvailable = append(made.knownAvailable, shelf.Available)
		}
	}
	return true
}

// fill remembers what was read of products, where nothing newer can be known of them.
func (k *known) fill(products []uuid.UUID, read *present) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, product := range products {
		if _, found := k.shelves[product]; !found {
			k.remember(product, read.shelves.Of(product))
		}
	}
}

// remember keeps the shelves of a product, if it has any, in the order of their warehouses. The mutex is held.
func (k *known) remember(product uuid.UUID, shelves []stock.Shelf) {
	if len(shelves) == 0 {
		return
	}
	if k.shelves == nil || len(k.shelves) >= mostKnown {
		k.shelves = map[uuid.UUID][]stock.Shelf{}
	}
	k.shelves[product] = slices.Clone(shelves)
	slices.SortFunc(k.shelves[product], func(one, other stock.Shelf) int { return byID(one.Warehouse, other.Warehouse) })
}

// was takes note whether a guess was right.
func (k *known) was(right bool) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.pause = min(2*k.pause+1, longestPause)
	if right {
		k.pause = 0
	}
	k.left = k.pause
}

// keep remembers what is committed of products, all of whose rows were locked.
func (k *known) keep(products []uuid.UUID, there *present) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, product := range products {
		if _, contended := there.contended[product]; !contended {
			k.remember(product, there.shelves.Of(product))
		}
	}
}

// forget is for products of which nobody can tell what became.
func (k *known) forget(products []uuid.UUID) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, product := range products {
		delete(k.shelves, product)
	}
}
