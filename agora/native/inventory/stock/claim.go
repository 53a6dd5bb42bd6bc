package stock

import (
	"bytes"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Claim asks for a reservation.
type Claim struct {
	// Reservation is the id that it will have. A claim that is decided once more keeps it.
	Reservation uuid.UUID
	// Key makes the claim count once.
	Key   string
	Lines []Line
	// Hold is how long it lives.
	Hold time.Duration
}

// Products are those of the lines, by id.
func (c Claim) Products() []uuid.UUID {
	products := make([]uuid.UUID, len(c.Lines))
	for at, line := range c.Lines {
		products[at] = line.Product
	}
	slices.SortFunc(products, func(one, other uuid.UUID) int { return bytes.Compare(one[:], other[:]) })
	return products
}
