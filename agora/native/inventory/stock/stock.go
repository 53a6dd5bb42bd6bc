// Package stock has the rules of stock and reservations: who has a claim on how many units, and what may become of the
// claim. It knows no I/O.
package stock

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Line is a number of units of a product that somebody asks for.
type Line struct {
	Product  uuid.UUID
	Quantity int32
}

// Allocation is what one warehouse contributes to a line.
type Allocation struct {
	Product   uuid.UUID
	Warehouse uuid.UUID
	Quantity  int32
}

// Shelf is what one warehouse has of a product and nobody has a claim on.
type Shelf struct {
	Warehouse uuid.UUID
	Available int32
}

// Stock is what may still be reserved of a product, warehouse by warehouse, in the order of their ids.
type Stock struct {
	Product uuid.UUID
	Shelves []Shelf
}

// Available is the sum over all warehouses.
func (s Stock) Available() int64 {
	var sum int64
	for _, shelf := range s.Shelves {
		sum += int64(shelf.Available)
	}
	return sum
}

// Warehouse is a place that keeps stock.
type Warehouse struct {
	ID   uuid.UUID
	Name string
	City string
}

// State is what has become of a reservation, in the database's words.
type State string

// A reservation is held, then confirmed or released; a held one whose time is over has expired.
const (
	Held      State = "HELD"
	Confirmed State = "CONFIRMED"
	Released  State = "RELEASED"
	Expired   State = "EXPIRED"
)

// Reservation is a claim on stock. State is as the database's clock sees it: a held one whose time is over is Expired.
type Reservation struct {
	ID          uuid.UUID
	State       State
	Allocations []Allocation
	ExpireTime  time.Time
}

// Needs is what a change of it alone needs: itself.
func (r Reservation) Needs() []uuid.UUID { return []uuid.UUID{r.ID} }

// Lines are those that were reserved, in their order: a product's allocations stand side by side.
func (r Reservation) Lines() []Line {
	lines := make([]Line, 0, len(r.Allocations))
	for _, allocation := range r.Allocations {
		at := slices.IndexFunc(lines, func(line Line) bool { return line.Product == allocation.Product })
		if at < 0 {
			lines = append(lines, Line{Product: allocation.Product, Quantity: allocation.Quantity})
			continue
		}
		lines[at].Quantity += allocation.Quantity
	}
	return lines
}

// Delivery is a restock as its key remembers it. Warehouse is nil where none was named.
type Delivery struct {
	Warehouse *uuid.UUID
	Lines     []Line
}

// Same tells whether a later call with the key asks for the same, in whatever order its lines come.
func (d Delivery) Same(later Delivery) bool {
	if (d.Warehouse == nil) != (later.Warehouse == nil) {
		return false
	}
	if d.Warehouse != nil && *d.Warehouse != *later.Warehouse {
		return false
	}
	return SameLines(d.Lines, later.Lines)
}

// SameLines compares lines as sets.
func SameLines(these, those []Line) bool {
	set := make(map[Line]struct{}, len(these))
	for _, line := range these {
		set[line] = struct{}{}
	}
	seen := make(map[Line]struct{}, len(those))
	for _, line := range those {
		if _, there := set[line]; !there {
			return false
		}
		seen[line] = struct{}{}
	}
	return len(seen) == len(set)
}
