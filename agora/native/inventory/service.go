// Package inventory is everything that inventory can do.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"agora/native/inventory/batch"
	"agora/native/inventory/stock"
	"tricorn/contract"
)

const retryAfter = 200 * time.Millisecond

// Repository has the changes that stand alone, and the reads. Where a result is nil, there is nothing of the kind.
type Repository interface {
	Confirm(ctx context.Context, id uuid.UUID) (*stock.Reservation, error)
	Release(ctx context.Context, id uuid.UUID) (*stock.Reservation, error)
	Prolong(ctx context.Context, id uuid.UUID, hold time.Duration) (*stock.Reservation, error)
	Reservation(ctx context.Context, id uuid.UUID) (*stock.Reservation, error)
	Stock(ctx context.Context, products []uuid.UUID) ([]stock.Stock, error)
	Restock(ctx context.Context, key string, delivery stock.Delivery) (bool, error)
	Delivery(ctx context.Context, key string) (*stock.Delivery, error)
	Warehouses(ctx context.Context) ([]stock.Warehouse, error)
}

// Reserving decides claims, many in one transaction.
type Reserving interface {
	Do(ctx context.Context, claim stock.Claim) (stock.Reservation, error)
}

// Confirming sells what reservations hold, many in one transaction. Nil: it is not held, or no longer.
type Confirming interface {
	Do(ctx context.Context, held stock.Reservation) (*stock.Reservation, error)
}

// Service is the use cases. Every error that a caller is meant to see is a *contract.Refusal.
type Service struct {
	repository Repository
	reserving  Reserving
	confirming Confirming
	held       recent
}

// NewService puts the use cases on what keeps the data.
func NewService(repository Repository, reserving Reserving, confirming Confirming) *Service {
	return &Service{repository: repository, reserving: reserving, confirming: confirming}
}

// StockOf is one stock for each product, in the order asked for; a product that no warehouse knows has none.
func (s *Service) StockOf(ctx context.Context, products []uuid.UUID) ([]stock.Stock, error) {
	return s.repository.Stock(ctx, products)
}

// Reserve holds all lines or nothing for the time of hold, once per key, and answers when that is committed. A refusal is
// not remembered: the same key may succeed once there is stock again.
//
// It refuses with OUT_OF_STOCK and IDEMPOTENCY_KEY_REUSED; with INVALID_ARGUMENT when a product is named twice; with
// UNAVAILABLE, nothing being done, when as many wait as may.
func (s *Service) Reserve(
	ctx context.Context, key string, lines []stock.Line, hold time.Duration,
) (stock.Reservation, error) {
	if err := stock.EachOnce(lines); err != nil {
		return stock.Reservation{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return stock.Reservation{}, fmt.Errorf("making a reservation's id: %w", err)
	}
	made, err := s.reserving.Do(ctx, stock.Claim{Reservation: id, Key: key, Lines: lines, Hold: hold})
	if err != nil {
		return made, refused(err, "The key was in use in the same moment; ask again.")
	}
	s.held.add(made)
	return made, nil
}

// Confirm sells what is held; again changes nothing. id is as the caller wrote it.
//
// It refuses with RESERVATION_EXPIRED from the moment its time is over, whether or not its stock is given back yet; with
// INVALID_STATE when it was released; with NOT_FOUND.
func (s *Service) Confirm(ctx context.Context, id string) (stock.Reservation, error) {
	return s.settle(ctx, stock.Confirm, id, s.confirm)
}

// confirm lets those share a transaction that were made here: what they hold need not be read first.
func (s *Service) confirm(ctx context.Context, id uuid.UUID) (*stock.Reservation, error) {
	held, found := s.held.take(id)
	if !found {
		return s.repository.Confirm(ctx, id)
	}
	confirmed, err := s.confirming.Do(ctx, held)
	if err != nil {
		return nil, refused(err, "The reservation changed in the same moment; ask again.")
	}
	return confirmed, nil
}

// Release gives back what is held; again, or after it has expired, changes nothing. It refuses with INVALID_STATE when it
// was confirmed, and with NOT_FOUND.
func (s *Service) Release(ctx context.Context, id string) (stock.Reservation, error) {
	return s.settle(ctx, stock.Release, id, s.release)
}

func (s *Service) release(ctx context.Context, id uuid.UUID) (*stock.Reservation, error) {
	s.held.take(id)
	return s.repository.Release(ctx, id)
}

// Prolong lets a held reservation live for hold from now, or as long as it would have, whichever is longer. It refuses
// with RESERVATION_EXPIRED, INVALID_STATE and NOT_FOUND.
func (s *Service) Prolong(ctx context.Context, id string, hold time.Duration) (stock.Reservation, error) {
	prolong := func(ctx context.Context, id uuid.UUID) (*stock.Reservation, error) {
		return s.repository.Prolong(ctx, id, hold)
	}
	return s.settle(ctx, stock.Prolong, id, prolong)
}

// Reservation reads one, or refuses with NOT_FOUND.
func (s *Service) Reservation(ctx context.Context, id string) (stock.Reservation, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return stock.Reservation{}, fmt.Errorf("reading a reservation's id: %w", err)
	}
	found, err := s.repository.Reservation(ctx, parsed)
	if err != nil {
		return stock.Reservation{}, err
	}
	if found == nil {
		return stock.Reservation{}, stock.NoReservation(id)
	}
	return *found, nil
}

// Restock adds units once per key, and says what is there then. Without a warehouse each product goes where most of it is,
// else to the warehouse with the lowest id.
//
// It refuses with IDEMPOTENCY_KEY_REUSED; with NOT_FOUND when there is no such warehouse; with INVALID_ARGUMENT when a
// product is named twice.
func (s *Service) Restock(ctx context.Context, key string, delivery stock.Delivery) ([]stock.Stock, error) {
	if err := stock.EachOnce(delivery.Lines); err != nil {
		return nil, err
	}
	added, err := s.repository.Restock(ctx, key, delivery)
	if err != nil {
		return nil, err
	}
	if !added {
		earlier, err := s.repository.Delivery(ctx, key)
		if err != nil {
			return nil, err
		}
		if earlier != nil && !earlier.Same(delivery) {
			return nil, stock.KeyReused()
		}
	}
	products := make([]uuid.UUID, len(delivery.Lines))
	for at, line := range delivery.Lines {
		products[at] = line.Product
	}
	return s.repository.Stock(ctx, products)
}

// Warehouses are all there are, by id.
func (s *Service) Warehouses(ctx context.Context) ([]stock.Warehouse, error) {
	return s.repository.Warehouses(ctx)
}

func (s *Service) settle(
	ctx context.Context, action stock.Action, id string,
	change func(context.Context, uuid.UUID) (*stock.Reservation, error),
) (stock.Reservation, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return stock.Reservation{}, fmt.Errorf("reading a reservation's id: %w", err)
	}
	changed, err := change(ctx, parsed)
	if err != nil {
		return stock.Reservation{}, err
	}
	if changed != nil {
		return *changed, nil
	}
	found, err := s.Reservation(ctx, id)
	if err != nil {
		return stock.Reservation{}, err
	}
	return stock.Settled(action, found)
}

// refused is what a batcher's own errors mean to a caller.
func refused(err error, unsettled string) error {
	switch {
	case errors.Is(err, batch.ErrFull):
		return overloaded("As many reservations are waiting as may wait; try again.")
	case errors.Is(err, batch.ErrClosed):
		return overloaded("No more reservations are taken here; try again.")
	case errors.Is(err, batch.ErrUnsettled):
		return contract.Refuse(contract.ReasonAborted, unsettled)
	}
	return err
}

func overloaded(detail string) error {
	return contract.Refuse(contract.ReasonUnavailable, detail).After(retryAfter)
}
