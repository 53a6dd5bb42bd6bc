// Package postgres keeps stock and reservations in the context's tables, which the reference implementation in Python
// keeps as well, at the same time.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres/queries"
	"agora/native/inventory/stock"
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

// Reserving takes the claims of a batch in one transaction: one round trip where stock is as it was known, else two. It is a batch.Store.
type Reserving struct {
	pool  *pgxpool.Pool
	known known
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
	if manner == batch.Eager {
		if guess := r.known.guess(work); guess != nil {
			outcomes, err := r.asKnown(ctx, connection, guess)
			if outcomes != nil || err != nil {
				return outcomes, err
			}
		}
	}
	return r.step(ctx, connection, work, manner)
}

// step locks and reads, decides, then writes.
func (r *Reserving) step(
	ctx context.Context, connection *pgxpool.Conn, work []call, manner batch.Manner,
) ([]outcome, error) {
	there, err := lock(ctx, connection, work, manner)
	if err != nil {
		return notLocked(ctx, connection, work, manner, err)
	}
	decided := decide(work, there)
	r.leaveOthersTheirs(decided, there)
	products, _ := wanted(work)
	if len(decided.create.ReservationIds) == 0 {
		r.known.keep(products, there)
		return decided.outcomes, nil
	}
	created, err := commit(ctx, connection, decided.create)
	if err == nil && len(created) == len(decided.fresh) {
		r.known.keep(products, there)
	} else {
		r.known.forget(products)
	}
	return r.concluded(ctx, decided, created, err)
}

// leaveOthersTheirs has claims of several products wait for what somebody else has locked of them without holding the rest meanwhile.
func (r *Reserving) leaveOthersTheirs(decided *decision, there *present) {
	for at := range decided.outcomes {
		result, claim := &decided.outcomes[at], decided.work[at].Work
		if result.Next != batch.Held || len(claim.Lines) == 1 {
			continue
		}
		contended := slices.DeleteFunc(claim.Products(), func(product uuid.UUID) bool {
			_, locked := there.contended[product]
			return !locked
		})
		wait := func(ctx context.Context) error { return r.awaitStock(ctx, contended) }
		*result = outcome{Next: batch.Again, Wait: wait}
	}
}

// awaitStock waits until nobody has locked the stock of products, or until a connection was lost or sacrificed meanwhile: nothing was done, so the
// claim is simply tried again.
func (r *Reserving) awaitStock(ctx context.Context, products []uuid.UUID) error {
	_, err := queries.New(r.pool).LockStock(ctx, products)
	state := stateOf(err)
	if err != nil && (ctx.Err() != nil || !lost(err) && state != serializationFailure && state != deadlockDetected) {
		return fmt.Errorf("waiting for stock that somebody else has locked: %w", err)
	}
	return nil
}

// asKnown writes what was decided by what is known; no outcomes when it is not so, or when a key was not free: then nothing was done.
func (r *Reserving) asKnown(ctx context.Context, connection *pgxpool.Conn, guess *guess) ([]outcome, error) {
	created, err := createAsKnown(ctx, connection, guess)
	state := stateOf(err)
	// A constraint is judged by the stock as it was before somebody else's change, too.
	wrong := state == uniqueViolation || state == checkViolation || err == nil && len(created) == 0
	r.known.was(!wrong)
	switch {
	case wrong:
		r.known.forget(guess.products)
		return nil, nil
	case err != nil:
		r.known.forget(guess.products)
	default:
		r.known.keep(guess.products, guess.there)
	}
	return r.concluded(ctx, guess.decision, created, err)
}

// concluded says what the end of a transaction means, whose COMMIT was sent.
func (r *Reserving) concluded(
	ctx context.Context, decided *decision, created map[uuid.UUID]time.Time, err error,
) ([]outcome, error) {
	switch {
	case err == nil:
		return decided.settle(created), nil
	case lost(err):
		return r.resolve(ctx, decided, err)
	}
	return r.notCreated(decided.work, err)
}

// lock locks the stock of all claims, and reads which of their keys stand for a reservation already.
func lock(ctx context.Context, connection *pgxpool.Conn, work []call, manner batch.Manner) (*present, error) {
	there := &present{earlier: map[string]stock.Reservation{}, contended: map[uuid.UUID]struct{}{}}
	products, keys := wanted(work)
	pipeline := &pgx.Batch{}
	pipeline.Queue("begin")
	switch manner {
	case batch.Eager:
		pipeline.Queue(queries.LockFreeStock, binary(products)).Query(there.putFree)
	case batch.Patient, batch.Stubborn:
		if manner == batch.Patient {
			pipeline.Queue(queries.LimitLockWait, patience)
		}
		pipeline.Queue(queries.LockStock, binary(products)).Query(there.put)
	}
	// Only now, so that it sees what those have committed who held the rows.
	pipeline.Queue(queries.ReservationsByKey, keys).Query(there.putEarlier)
	pipeline.Queue(queries.LimitLockWait, keyPatience)
	if err := connection.SendBatch(ctx, pipeline).Close(); err != nil {
		return nil, fmt.Errorf("reserving: locking the stock of %d claims: %w", len(work), err)
	}
	return there, nil
}

func (p *present) putFree(rows pgx.Rows) error {
	var product, warehouse pgtype.UUID
	var available int32
	var free bool
	_, err := pgx.ForEachRow(rows, []any{&product, &warehouse, &available, &free}, func() error {
		if !free {
			p.contended[product.Bytes] = struct{}{}
		}
		p.shelves.Put(product.Bytes, stock.Shelf{Warehouse: warehouse.Bytes, Available: available})
		return nil
	})
	return err
}

func (p *present) put(rows pgx.Rows) error {
	var product, warehouse pgtype.UUID
	var available int32
	_, err := pgx.ForEachRow(rows, []any{&product, &warehouse, &available}, func() error {
		p.shelves.Put(product.Bytes, stock.Shelf{Warehouse: warehouse.Bytes, Available: available})
		return nil
	})
	return err
}

func (p *present) putEarlier(rows pgx.Rows) error {
	earlier, err := pgx.CollectRows(rows, pgx.RowToStructByPos[queries.ReservationsByKeyRow])
	for _, row := range earlier {
		p.earlier[row.Key] = reservation(
			row.ReservationID, row.State, row.Overdue, row.ProductIds, row.WarehouseIds, row.Quantities, row.ExpireTime,
		)
	}
	return err
}

// commit writes reservations and moves their stock, and commits.
func commit(
	ctx context.Context, connection *pgxpool.Conn, create queries.CreateReservationsParams,
) (map[uuid.UUID]time.Time, error) {
	ends := make(endings, len(create.ReservationIds))
	pipeline := &pgx.Batch{}
	pipeline.Queue(
		queries.CreateReservations, binary(create.ReservationIds), create.Keys, create.Firsts, create.Lasts, create.Holds,
		binary(create.ProductIds), binary(create.WarehouseIds), create.Quantities,
	).Query(ends.put)
	pipeline.Queue("commit")
	if err := connection.SendBatch(ctx, pipeline).Close(); err != nil {
		return nil, fmt.Errorf("reserving: writing %d reservations: %w", len(create.Keys), err)
	}
	return ends, nil
}

// createAsKnown locks, writes and commits in one statement, which is one transaction.
func createAsKnown(ctx context.Context, connection *pgxpool.Conn, guess *guess) (map[uuid.UUID]time.Time, error) {
	create := guess.create
	ends := make(endings, len(create.ReservationIds))
	rows, err := connection.Query(ctx, queries.CreateReservationsAsKnown,
		binary(guess.knownProducts), keyPatience, binary(guess.knownWarehouses), guess.knownAvailable,
		binary(guess.takenProducts), binary(guess.takenWarehouses), guess.takenQuantities,
		binary(create.ProductIds), binary(create.WarehouseIds), create.Quantities,
		binary(create.ReservationIds), create.Keys, create.Firsts, create.Lasts, create.Holds,
	)
	if err == nil {
		err = ends.put(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("reserving: writing %d reservations: %w", len(create.Keys), err)
	}
	return ends, nil
}

// endings are when reservations end that were created, by their ids.
type endings map[uuid.UUID]time.Time

func (e endings) put(rows pgx.Rows) error {
	var id pgtype.UUID
	var end time.Time
	_, err := pgx.ForEachRow(rows, []any{&id, &end}, func() error {
		e[id.Bytes] = end
		return nil
	})
	return err
}

// binary is ids as pgx sends them without reflection, and without making text of each.
func binary(ids []uuid.UUID) pgtype.FlatArray[pgtype.UUID] {
	made := make(pgtype.FlatArray[pgtype.UUID], len(ids))
	for at, id := range ids {
		made[at] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return made
}

// notLocked says what a failure to lock means. Nothing was done, and COMMIT was not sent.
func notLocked(
	ctx context.Context, connection *pgxpool.Conn, work []call, manner batch.Manner, err error,
) ([]outcome, error) {
	state := stateOf(err)
	switch {
	case state == lockNotAvailable && manner == batch.Patient:
		return alike(work, outcome{Next: batch.Held}), nil
	case state == serializationFailure || state == deadlockDetected:
		return alike(work, outcome{Next: batch.Again}), nil
	case state == "" && ctx.Err() == nil && connection.Conn().IsClosed():
		// The connection was dead already: the next one need not be.
		return alike(work, outcome{Next: batch.Again}), nil
	case nobodys(err):
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
		return alike(work, outcome{Next: batch.Again}), nil
	case state != lockNotAvailable && nobodys(err):
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

func alike[Q, A any](work []batch.Call[Q], same batch.Outcome[A]) []batch.Outcome[A] {
	outcomes := make([]batch.Outcome[A], len(work))
	for at := range outcomes {
		outcomes[at] = same
	}
	return outcomes
}
