package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres/queries"
	"agora/native/inventory/stock"
)

// Confirming sells what reservations hold, whose allocations are known, many in one statement and so one transaction. An answer is nil
// where a reservation is not held, or no longer. It is a batch.Store.
type Confirming struct {
	repository *Repository
}

var _ batch.Store[stock.Reservation, *stock.Reservation] = (*Confirming)(nil)

// NewConfirming uses the connections of a repository, and has it confirm what stands alone.
func NewConfirming(repository *Repository) *Confirming { return &Confirming{repository: repository} }

// errTheirs makes halves of a batch, down to those who need what somebody else has locked.
var errTheirs = errors.New("somebody else has a reservation or stock of it locked")

type (
	confirmCall    = batch.Call[stock.Reservation]
	confirmOutcome = batch.Outcome[*stock.Reservation]
)

// Run confirms each, and answers once that is committed.
func (c *Confirming) Run(ctx context.Context, work []confirmCall, manner batch.Manner) ([]confirmOutcome, error) {
	if manner == batch.Eager {
		return c.together(ctx, work)
	}
	outcomes := make([]confirmOutcome, len(work))
	for at, each := range work {
		outcomes[at].Answer, outcomes[at].Err = c.repository.Confirm(ctx, each.Work.ID)
	}
	return outcomes, nil
}

// together confirms all of them, or nothing: then halves of the batch find what is in the way of which.
func (c *Confirming) together(ctx context.Context, work []confirmCall) ([]confirmOutcome, error) {
	connection, err := c.repository.reserving.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("confirming: getting a connection: %w", err)
	}
	defer connection.Release()
	ends, free, err := confirm(ctx, connection, work)
	if err != nil || !free {
		return notConfirmed(ctx, connection, work, err)
	}
	outcomes := make([]confirmOutcome, len(work))
	for at, each := range work {
		if end, done := ends[each.Work.ID]; done {
			confirmed := each.Work
			confirmed.State, confirmed.ExpireTime = stock.Confirmed, end
			outcomes[at].Answer = &confirmed
		}
	}
	return outcomes, nil
}

// notConfirmed says what it means that a batch has failed, or without an error that somebody else has stock of it locked. Nothing was done, unless a
// connection was lost: what was confirmed then is found to be so when it is tried again.
func notConfirmed(
	ctx context.Context, connection *pgxpool.Conn, work []confirmCall, err error,
) ([]confirmOutcome, error) {
	state := stateOf(err)
	if err != nil {
		err = fmt.Errorf("confirming %d reservations: %w", len(work), err)
	}
	switch {
	case err == nil || state == lockNotAvailable:
		if len(work) > 1 {
			return nil, batch.Divisible(errTheirs)
		}
		return alike(work, confirmOutcome{Next: batch.Held}), nil
	case state == serializationFailure || state == deadlockDetected:
		return alike(work, confirmOutcome{Next: batch.Again}), nil
	case lost(err) && ctx.Err() == nil && connection.Conn().IsClosed():
		// The next connection need not be dead.
		return alike(work, confirmOutcome{Next: batch.Again}), nil
	case nobodys(err):
		return nil, err
	}
	return nil, batch.Divisible(err)
}

// confirm gives when those end that were confirmed, by id, and whether nobody else had their stock locked.
func confirm(
	ctx context.Context, connection *pgxpool.Conn, work []confirmCall,
) (ends map[uuid.UUID]time.Time, free bool, err error) {
	ids := make([]uuid.UUID, len(work))
	var products, warehouses []uuid.UUID
	seen := map[[2]uuid.UUID]struct{}{}
	for at, each := range work {
		ids[at] = each.Work.ID
		for _, allocation := range each.Work.Allocations {
			shelf := [2]uuid.UUID{allocation.Product, allocation.Warehouse}
			if _, named := seen[shelf]; !named {
				seen[shelf] = struct{}{}
				products, warehouses = append(products, allocation.Product), append(warehouses, allocation.Warehouse)
			}
		}
	}
	rows, err := connection.Query(
		ctx, queries.ConfirmTogether, binary(products), binary(warehouses), keyPatience, binary(ids),
	)
	if err != nil {
		return nil, false, err
	}
	ends = make(map[uuid.UUID]time.Time, len(work))
	var id pgtype.UUID
	var end pgtype.Timestamptz
	_, err = pgx.ForEachRow(rows, []any{&free, &id, &end}, func() error {
		if id.Valid {
			ends[id.Bytes] = end.Time
		}
		return nil
	})
	return ends, free, err
}
