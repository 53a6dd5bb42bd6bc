// Package postgres keeps stock and reservations in the context's tables, which the reference implementation in Python
// keeps as well, at the same time.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres/queries"
	"agora/native/inventory/stock"
	"tricorn/data"
)

const (
	// How long a patient batch waits for a row before the lines that nobody is in the way of go on without the others.
	patience = "100ms"
	// How long a batch waits for a key that somebody holds uncommitted, its rows being locked.
	keyPatience = "20ms"
	// Between two looks at what became of a transaction whose COMMIT nobody answered.
	lookAgain = 50 * time.Millisecond
	// How long a rollback may take before its session is closed instead.
	rollbackTimeout = time.Second
)

// Reserving takes the claims of a batch in one transaction: two round trips, one COMMIT. It is a batch.Store.
type Reserving struct {
	pool *pgxpool.Pool
}

var _ batch.Store[stock.Claim, stock.Reservation] = (*Reserving)(nil)

// NewReserving uses connections of a pool whose role is the context's.
func NewReserving(pool *pgxpool.Pool) *Reserving { return &Reserving{pool: pool} }

type (
	call    = batch.Call[stock.Claim]
	outcome = batch.Outcome[stock.Reservation]
)

// Run decides the claims in their order, each all or nothing, and answers once they are committed.
func (r *Reserving) Run(ctx context.Context, work []call, manner batch.Manner) ([]outcome, error) {
	connection, err := r.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("reserving: getting a connection: %w", err)
	}
	defer giveBack(ctx, connection)
	there, err := lock(ctx, connection, work, manner)
	if err != nil {
		return notLocked(ctx, connection, work, manner, err)
	}
	decided := decide(work, there)
	if len(decided.create.ReservationIds) == 0 {
		return decided.outcomes, nil
	}
	created, err := commit(ctx, connection, decided.create)
	switch {
	case err == nil:
		return decided.settle(created), nil
	case lost(err):
		return r.resolve(ctx, decided, err)
	}
	return r.notCreated(work, err)
}

// lock locks the stock of all claims, and reads which of their keys stand for a reservation already.
func lock(ctx context.Context, connection *pgxpool.Conn, work []call, manner batch.Manner) (*present, error) {
	there := &present{earlier: map[string]stock.Reservation{}, contended: map[uuid.UUID]struct{}{}}
	products, keys := wanted(work)
	pipeline := &pgx.Batch{}
	pipeline.Queue("begin")
	switch manner {
	case batch.Eager:
		pipeline.Queue(queries.LockFreeStock, products).Query(func(rows pgx.Rows) error {
			locked, err := pgx.CollectRows(rows, pgx.RowToStructByPos[queries.LockFreeStockRow])
			for _, row := range locked {
				if !row.Free {
					there.contended[row.ProductID] = struct{}{}
				}
				there.shelves.Put(row.ProductID, stock.Shelf{Warehouse: row.WarehouseID, Available: row.Available})
			}
			return err
		})
	case batch.Patient, batch.Stubborn:
		if manner == batch.Patient {
			pipeline.Queue(queries.LimitLockWait, patience)
		}
		pipeline.Queue(queries.LockStock, products).Query(func(rows pgx.Rows) error {
			locked, err := pgx.CollectRows(rows, pgx.RowToStructByPos[queries.LockStockRow])
			for _, row := range locked {
				there.shelves.Put(row.ProductID, stock.Shelf{Warehouse: row.WarehouseID, Available: row.Available})
			}
			return err
		})
	}
	// Only now, so that it sees what those have committed who held the rows.
	pipeline.Queue(queries.ReservationsByKey, keys).Query(func(rows pgx.Rows) error {
		earlier, err := pgx.CollectRows(rows, pgx.RowToStructByPos[queries.ReservationsByKeyRow])
		for _, row := range earlier {
			there.earlier[row.Key] = reservation(
				row.ReservationID, row.State, row.Overdue, row.ProductIds, row.WarehouseIds, row.Quantities, row.ExpireTime,
			)
		}
		return err
	})
	pipeline.Queue(queries.LimitLockWait, keyPatience)
	if err := connection.SendBatch(ctx, pipeline).Close(); err != nil {
		return nil, fmt.Errorf("reserving: locking the stock of %d claims: %w", len(work), err)
	}
	return there, nil
}

// commit writes reservations and moves their stock, and commits.
func commit(
	ctx context.Context, connection *pgxpool.Conn, create queries.CreateReservationsParams,
) (map[uuid.UUID]time.Time, error) {
	ends := make(map[uuid.UUID]time.Time, len(create.ReservationIds))
	pipeline := &pgx.Batch{}
	pipeline.Queue(
		queries.CreateReservations, create.ReservationIds, create.Keys, create.ProductIds, create.WarehouseIds,
		create.Quantities, create.Holds,
	).Query(func(rows pgx.Rows) error {
		created, err := pgx.CollectRows(rows, pgx.RowToStructByPos[queries.CreateReservationsRow])
		for _, row := range created {
			ends[row.ReservationID] = row.ExpireTime
		}
		return err
	})
	pipeline.Queue("commit")
	if err := connection.SendBatch(ctx, pipeline).Close(); err != nil {
		return nil, fmt.Errorf("reserving: writing %d reservations: %w", len(create.Keys), err)
	}
	return ends, nil
}

// notLocked says what a failure to lock means. Nothing was done, and COMMIT was not sent.
func notLocked(
	ctx context.Context, connection *pgxpool.Conn, work []call, manner batch.Manner, err error,
) ([]outcome, error) {
	state := stateOf(err)
	switch {
	case state == lockNotAvailable && manner == batch.Patient:
		return all(work, outcome{Next: batch.Held}), nil
	case state == serializationFailure || state == deadlockDetected:
		return all(work, outcome{Next: batch.Again}), nil
	case state == "" && ctx.Err() == nil && connection.Conn().IsClosed():
		// The connection was dead already: the next one need not be.
		return all(work, outcome{Next: batch.Again}), nil
	case data.Refusal(err) != nil:
		return nil, err
	}
	return nil, batch.Divisible(err)
}

// notCreated says what the server's refusal to write a batch means. Nothing was done.
func (r *Reserving) notCreated(work []call, err error) ([]outcome, error) {
	state := stateOf(err)
	switch {
	case state == lockNotAvailable && len(work) == 1:
		wait := func(ctx context.Context) error { return r.awaitKey(ctx, work[0].Work) }
		return []outcome{{Next: batch.Again, Wait: wait}}, nil
	case state == serializationFailure || state == deadlockDetected:
		return all(work, outcome{Next: batch.Again}), nil
	case state != lockNotAvailable && data.Refusal(err) != nil:
		return nil, err
	}
	return nil, batch.Divisible(err)
}

// awaitKey waits until nobody holds a claim's key uncommitted, and holds no stock meanwhile.
func (r *Reserving) awaitKey(ctx context.Context, claim stock.Claim) error {
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		probe := queries.ProbeKeyParams{ReservationID: claim.Reservation, Key: claim.Key}
		if err := queries.New(tx).ProbeKey(ctx, probe); err != nil {
			return err
		}
		return errProbed
	})
	if errors.Is(err, errProbed) {
		return nil
	}
	return fmt.Errorf("waiting for a key that somebody else is using: %w", err)
}

var errProbed = errors.New("probed")

// resolve finds out what became of a transaction whose COMMIT nobody answered, by reading what it was to write. What is
// not there is claimed once more: should the old transaction still be under way, that waits for its locks, and then sees
// its keys.
func (r *Reserving) resolve(ctx context.Context, decided *decision, cause error) ([]outcome, error) {
	for {
		rows, err := queries.New(r.pool).ReservationsByID(ctx, decided.create.ReservationIds)
		if err == nil {
			there := make(map[uuid.UUID]time.Time, len(rows))
			for _, row := range rows {
				there[row.ReservationID] = row.ExpireTime
			}
			return decided.settle(there), nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("reserving: finding out what became of a COMMIT: %w", errors.Join(cause, err))
		case <-time.After(lookAgain):
		}
	}
}

// giveBack ends the transaction, if there is one, and gives the connection back; a broken one the pool throws away.
func giveBack(ctx context.Context, connection *pgxpool.Conn) {
	if session := connection.Conn(); !session.IsClosed() && session.PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		// Failing to, it closes the session, which ends the transaction as well.
		_, _ = session.Exec(ctx, "rollback")
	}
	connection.Release()
}

func all(work []call, same outcome) []outcome {
	outcomes := make([]outcome, len(work))
	for at := range outcomes {
		outcomes[at] = same
	}
	return outcomes
}
