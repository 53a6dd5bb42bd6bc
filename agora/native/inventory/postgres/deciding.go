package postgres

import (
	"sort"
	"time"

	"github.com/google/uuid"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres/queries"
	"agora/native/inventory/stock"
)

// present is what a batch finds once its stock is locked.
type present struct {
	shelves stock.Shelves
	// Products of which somebody else has locked a row.
	contended map[uuid.UUID]struct{}
	// By key.
	earlier map[string]stock.Reservation
}

// decision is what becomes of each claim if what is to be created can be.
type decision struct {
	work     []call
	outcomes []outcome
	create   queries.CreateReservationsParams
	// By id: what is to be created; and which claim leans on which of them, its own or an earlier one with its key.
	fresh  map[uuid.UUID]stock.Reservation
	leader []uuid.UUID
	// Whether a claim was refused because there is too little.
	short bool
}

// decide takes the claims in their order, so that a later one finds what the earlier ones have left.
func decide(work []call, there *present) *decision {
	d := &decision{
		work: work, outcomes: make([]outcome, len(work)),
		fresh: map[uuid.UUID]stock.Reservation{}, leader: make([]uuid.UUID, len(work)),
	}
	byKey := map[string]uuid.UUID{}
	for at, each := range work {
		claim, result := each.Work, &d.outcomes[at]
		if err := each.Gone(); err != nil {
			result.Err = err
			continue
		}
		if earlier, found := there.earlier[claim.Key]; found {
			result.Answer, result.Err = stock.SameReservation(earlier, claim.Lines)
			continue
		}
		if there.busy(claim) {
			result.Next = batch.Held
			continue
		}
		if first, found := byKey[claim.Key]; found {
			d.leader[at] = first
			result.Answer, result.Err = stock.SameReservation(d.fresh[first], claim.Lines)
			continue
		}
		allocations, shortage := there.shelves.Take(claim.Lines)
		if shortage != nil {
			d.short = true
			result.Err = shortage.Refusal()
			continue
		}
		byKey[claim.Key], d.leader[at] = claim.Reservation, claim.Reservation
		d.add(claim, allocations)
	}
	sort.Sort(inOrderOfKeys{&d.create})
	return d
}

// inOrderOfKeys is the order in which batches claim keys, so that two of them wait for each other in a line.
type inOrderOfKeys struct {
	*queries.CreateReservationsParams
}

func (c inOrderOfKeys) Len() int { return len(c.Keys) }

func (c inOrderOfKeys) Less(one, other int) bool { return c.Keys[one] < c.Keys[other] }

func (c inOrderOfKeys) Swap(one, other int) {
	c.ReservationIds[one], c.ReservationIds[other] = c.ReservationIds[other], c.ReservationIds[one]
	c.Keys[one], c.Keys[other] = c.Keys[other], c.Keys[one]
	c.Firsts[one], c.Firsts[other] = c.Firsts[other], c.Firsts[one]
	c.Lasts[one], c.Lasts[other] = c.Lasts[other], c.Lasts[one]
	c.Holds[one], c.Holds[other] = c.Holds[other], c.Holds[one]
}

func (p *present) busy(claim stock.Claim) bool {
	if len(p.contended) == 0 {
		return false
	}
	for _, line := range claim.Lines {
		if _, contended := p.contended[line.Product]; contended {
			return true
		}
	}
	return false
}

func (d *decision) add(claim stock.Claim, allocations []stock.Allocation) {
	d.fresh[claim.Reservation] = stock.Reservation{ID: claim.Reservation, State: stock.Held, Allocations: allocations}
	first := len(d.create.Quantities) + 1
	for _, allocation := range allocations {
		d.create.ProductIds = append(d.create.ProductIds, allocation.Product)
		d.create.WarehouseIds = append(d.create.WarehouseIds, allocation.Warehouse)
		d.create.Quantities = append(d.create.Quantities, allocation.Quantity)
	}
	d.create.ReservationIds = append(d.create.ReservationIds, claim.Reservation)
	d.create.Keys = append(d.create.Keys, claim.Key)
	d.create.Firsts = append(d.create.Firsts, int32(first))
	d.create.Lasts = append(d.create.Lasts, int32(len(d.create.Quantities)))
	d.create.Holds = append(d.create.Holds, claim.Hold.Microseconds())
}

// settle gives the outcomes when these reservations have come to be. When some have not, because their key was not free any
// more or because nobody knows whether they were committed, their claims are decided once more, and so is what was refused
// beside them: it might not have been, had that been known.
func (d *decision) settle(ends map[uuid.UUID]time.Time) []outcome {
	doubt := len(ends) < len(d.fresh)
	for at := range d.outcomes {
		result, leader := &d.outcomes[at], d.leader[at]
		if leader == uuid.Nil {
			if doubt && result.Err != nil && d.work[at].Gone() == nil {
				*result = outcome{Next: batch.Again}
			}
			continue
		}
		end, there := ends[leader]
		if !there {
			*result = outcome{Next: batch.Again}
			continue
		}
		if result.Err == nil {
			result.Answer = d.fresh[leader]
			result.Answer.ExpireTime = end
		}
	}
	return d.outcomes
}

// wanted are the products and keys of claims, each once.
func wanted(work []call) (products []uuid.UUID, keys []string) {
	seen := make(map[uuid.UUID]struct{}, len(work))
	asked := make(map[string]struct{}, len(work))
	for _, each := range work {
		for _, line := range each.Work.Lines {
			if _, known := seen[line.Product]; !known {
				seen[line.Product] = struct{}{}
				products = append(products, line.Product)
			}
		}
		if _, known := asked[each.Work.Key]; !known {
			asked[each.Work.Key] = struct{}{}
			keys = append(keys, each.Work.Key)
		}
	}
	return products, keys
}

func reservation(
	id uuid.UUID, state string, overdue bool, products, warehouses []uuid.UUID, quantities []int32, end time.Time,
) stock.Reservation {
	made := stock.Reservation{
		ID: id, State: stock.State(state), ExpireTime: end, Allocations: make([]stock.Allocation, len(quantities)),
	}
	if overdue {
		made.State = stock.Expired
	}
	for at, quantity := range quantities {
		made.Allocations[at] = stock.Allocation{Product: products[at], Warehouse: warehouses[at], Quantity: quantity}
	}
	return made
}
