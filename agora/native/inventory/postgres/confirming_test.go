package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres"
	"agora/native/inventory/stock"
)

// reserved is a reservation of so many units of a product.
func (r *room) reserved(hold time.Duration, wanted ...stock.Line) stock.Reservation {
	r.t.Helper()
	made, err := r.service.Reserve(r.ctx, key(), wanted, hold)
	require.NoError(r.t, err)
	return made
}

// confirm has a batch of confirmations run.
func (r *room) confirm(reservations ...stock.Reservation) []batch.Outcome[*stock.Reservation] {
	r.t.Helper()
	work := make([]batch.Call[stock.Reservation], len(reservations))
	for at, each := range reservations {
		work[at] = batch.NewCall(r.ctx, each)
	}
	confirming := postgres.NewConfirming(postgres.NewRepository(postgres.NewReserving(r.pool)))
	outcomes, err := confirming.Run(r.ctx, work, batch.Eager)
	require.NoError(r.t, err)
	return outcomes
}

func TestConfirmationsThatComeTogetherAreEachJudgedByItself(t *testing.T) {
	r := open(t)
	one, two := r.product(3, 9), r.product(9)
	both, same := r.reserved(minute, line(two, 2), line(one, 10)), r.reserved(minute, line(one, 1))
	late := r.reserved(time.Microsecond, line(two, 1))
	released, confirmed := r.reserved(minute, line(two, 1)), r.reserved(minute, line(two, 1))
	_, err := r.service.Release(r.ctx, released.ID.String())
	require.NoError(t, err)
	_, err = r.service.Confirm(r.ctx, confirmed.ID.String())
	require.NoError(t, err)

	unknown := stock.Reservation{ID: uuid.New(), Allocations: same.Allocations}
	outcomes := r.confirm(both, same, late, released, confirmed, unknown)

	for at, sold := range []stock.Reservation{both, same} {
		sold.State = stock.Confirmed
		require.Equal(t, batch.Outcome[*stock.Reservation]{Answer: &sold}, outcomes[at])
	}
	for _, outcome := range outcomes[2:] {
		require.Equal(t, batch.Outcome[*stock.Reservation]{}, outcome)
	}
	_, err = r.service.Confirm(r.ctx, late.ID.String())
	require.Equal(t, "RESERVATION_EXPIRED", reason(err))
	_, err = r.service.Confirm(r.ctx, released.ID.String())
	require.Equal(t, "INVALID_STATE", reason(err))
	r.conserved(one, two)
}

func TestConfirmationsOfStockThatSomebodyHasLockedWaitAndTheOthersOfTheirBatchDoNot(t *testing.T) {
	r := open(t)
	locked, free := r.product(9), r.product(9)
	waiting, others := r.reserved(minute, line(locked, 1)), []stock.Reservation{}
	for range 9 {
		others = append(others, r.reserved(minute, line(free, 1)))
	}
	theirs := r.begin("SELECT FROM stock WHERE product_id = $1 FOR UPDATE", locked)

	for _, outcome := range r.confirm(append(others[:2:2], waiting)...) {
		require.Equal(t, batch.Held, outcome.Next)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := r.service.Confirm(r.ctx, waiting.ID.String())
		answered <- err
	}()
	refused := together(len(others), func(number int) error {
		_, err := r.service.Confirm(r.ctx, others[number].ID.String())
		return err
	})

	require.Equal(t, map[string]int{"": len(others)}, refused)
	require.Empty(t, answered)
	require.NoError(t, theirs.Commit(t.Context()))
	require.NoError(t, <-answered)
	r.conserved(locked, free)
}
