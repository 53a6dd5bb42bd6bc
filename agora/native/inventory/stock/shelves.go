package stock

import (
	"bytes"
	"slices"

	"github.com/google/uuid"
)

// Shortage is the first line, in the order asked for, that cannot be met.
type Shortage struct {
	Product   uuid.UUID
	Requested int32
	Available int64
}

// Shelves are the locked stock of some products while claims on it are decided one after the other. What a claim takes
// is gone for the next. The zero value is empty.
type Shelves struct {
	products map[uuid.UUID][]Shelf
}

// Put adds a row of stock.
func (s *Shelves) Put(product uuid.UUID, shelf Shelf) {
	if s.products == nil {
		s.products = map[uuid.UUID][]Shelf{}
	}
	s.products[product] = append(s.products[product], shelf)
}

// Of are the rows of a product, in any order, as claims have left them; not a copy.
func (s *Shelves) Of(product uuid.UUID) []Shelf { return s.products[product] }

// Take takes all lines or nothing: of each product from the warehouse that has most of it first, of two alike from the
// one with the lower id. Each product stands in at most one line.
func (s *Shelves) Take(lines []Line) ([]Allocation, *Shortage) {
	for _, line := range lines {
		available := Stock{Product: line.Product, Shelves: s.products[line.Product]}.Available()
		if available < int64(line.Quantity) {
			return nil, &Shortage{Product: line.Product, Requested: line.Quantity, Available: available}
		}
	}
	allocations := make([]Allocation, 0, len(lines))
	for _, line := range lines {
		shelves := s.products[line.Product]
		slices.SortFunc(shelves, mostFirst)
		wanted := line.Quantity
		for at := 0; wanted > 0; at++ {
			taken := min(wanted, shelves[at].Available)
			shelves[at].Available -= taken
			wanted -= taken
			allocations = append(allocations, Allocation{line.Product, shelves[at].Warehouse, taken})
		}
	}
	return allocations, nil
}

func mostFirst(one, other Shelf) int {
	if one.Available != other.Available {
		return int(other.Available) - int(one.Available)
	}
	return bytes.Compare(one.Warehouse[:], other.Warehouse[:])
}
