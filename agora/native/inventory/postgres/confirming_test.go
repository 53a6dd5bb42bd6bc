package postgres_test

import (
	"context"
	"sync"
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
func (r *room) confirm(reservations ...stock.Reservation) ([]batch.Outcome[*stock.Reservation], error) {
	r.t.Helper()
	work := make([]batch.Call[stock.Reservation], len(reservations))
	for at, each := range reservations {
		work[at] = batch.NewCall(r.ctx, each)
	}
	confirming := postgres.NewConfirming(postgres.NewRepository(postgres.NewReserving(r.pool)))
	return confirming.Run(r.ctx, work, batch.Eager)
}

// company keeps whoever runs batches from the one after the first until so many wait for it.
type company struct {
	ctx         context.Context
	wanted      int
	begun, come chan struct{}
	first, all  sync.Once
}

func (c *company) Ran(batch.Manner, int, time.Duration, time.Duration) {
	c.first.Do(func() { close(c.begun) })
	select {
	case <-c.come:
	case <-c.ctx.Done():
	}
}

func (c *company) Waiting(number int) {
	if number >= c.wanted {
		c.all.Do(func() { close(c.come) })
	}
}

// oneBatch has all of these confirmed in one batch, as long as nothing is in the way, and gives where the answer to each comes.
func (r *room) oneBatch(reservations ...stock.Reservation) []chan error {
	r.t.Helper()
	options := postgres.Confirms(batching())
	awaited := &company{ctx: r.ctx, wanted: len(reservations), begun: make(chan struct{}), come: make(chan struct{})}
	options.Observer = awaited
	store := postgres.NewConfirming(postgres.NewRepository(postgres.NewReserving(r.pool)))
	confirming := batch.New(store, stock.Reservation.Needs, options)
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), minute)
		defer cancel()
		require.NoError(r.t, confirming.Close(ctx))
	})
	confirm := func(each stock.Reservation) chan error {
		answer := make(chan error, 1)
		go func() {
			confirmed, err := confirming.Do(r.ctx, each)
			if err == nil && (confirmed == nil || confirmed.State != stock.Confirmed) {
				err = contractError("not confirmed")
			}
			answer <- err
		}()
		return answer
	}
	before := confirm(r.reserved(minute, line(r.product(1), 1)))
	<-awaited.begun
	answers := make([]chan error, len(reservations))
	for at, each := range reservations {
		answers[at] = confirm(each)
	}
	require.NoError(r.t, <-before)
	return answers
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
	outcomes, err := r.confirm(both, same, late, released, confirmed, unknown)

	require.NoError(t, err)
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
	locked, free := r.product(20), r.product(20)
	var all []stock.Reservation
	for range 9 {
		all = append(all, r.reserved(minute, line(locked, 1)), r.reserved(minute, line(free, 1)))
	}
	theirs := r.begin("SELECT FROM stock WHERE product_id = $1 FOR UPDATE", locked)

	answers := r.oneBatch(all...)

	for at := 1; at < len(all); at += 2 {
		require.NoError(t, <-answers[at])
	}
	for at := 0; at < len(all); at += 2 {
		require.Empty(t, answers[at])
	}
	require.NoError(t, theirs.Commit(t.Context()))
	for at := 0; at < len(all); at += 2 {
		require.NoError(t, <-answers[at])
	}
	r.conserved(locked, free)
}

func TestAReservationThatSomebodyHasLockedDelaysNoOtherOfItsBatch(t *testing.T) {
	r := open(t)
	product := r.product(20)
	var all []stock.Reservation
	for range 9 {
		all = append(all, r.reserved(minute, line(product, 1)))
	}
	theirs := r.begin("SELECT FROM reservation WHERE reservation_id = $1 FOR UPDATE", all[4].ID)

	answers := r.oneBatch(all...)

	for at, answer := range answers {
		if at != 4 {
			require.NoError(t, <-answer)
		}
	}
	require.Empty(t, answers[4])
	require.NoError(t, theirs.Commit(t.Context()))
	require.NoError(t, <-answers[4])
	r.conserved(product)
}

func TestWhatSomebodyElseHasLockedIsLeftOutOnlyWhereItStandsAlone(t *testing.T) {
	r := open(t)
	one, two := r.product(9), r.product(9)
	first, second := r.reserved(minute, line(one, 1)), r.reserved(minute, line(two, 1))
	for _, theirs := range []struct {
		sql string
		id  uuid.UUID
	}{
		{"SELECT FROM stock WHERE product_id = $1 FOR UPDATE", one},
		{"SELECT FROM reservation WHERE reservation_id = $1 FOR UPDATE", first.ID},
	} {
		locked := r.begin(theirs.sql, theirs.id)

		_, err := r.confirm(first, second)
		alone, failed := r.confirm(first)

		require.True(t, batch.IsDivisible(err))
		require.NoError(t, failed)
		require.Equal(t, []batch.Outcome[*stock.Reservation]{{Next: batch.Held}}, alone)
		require.NoError(t, locked.Rollback(t.Context()))
	}
}

func TestAConfirmationThatCannotBeWrittenFailsAloneAndTheOthersOfItsBatchAreConfirmed(t *testing.T) {
	r := open(t)
	damaged, sound := r.product(9), r.product(9)
	var all []stock.Reservation
	for range 4 {
		all = append(all, r.reserved(minute, line(sound, 1)))
	}
	all = append(all, r.reserved(minute, line(damaged, 1), line(sound, 1)), r.reserved(minute, line(sound, 1)))
	r.exec("UPDATE stock SET held = held - 1, available = available + 1 WHERE product_id = $1", damaged)

	failed := map[int]error{}
	for at, answer := range r.oneBatch(all...) {
		if err := <-answer; err != nil {
			failed[at] = err
		}
	}

	require.Len(t, failed, 1)
	require.ErrorContains(t, failed[4], "stock_is_never_below_zero")
	r.conserved(sound)
}

func TestAConfirmationWhoseConnectionIsLostIsConfirmed(t *testing.T) {
	for name, cut := range map[string]cut{"it was done": cutNextAnswer, "it was not": cutNextRequest} {
		t.Run(name, func(t *testing.T) {
			between := listen(t, address(t))
			r := openWith(t, between.pool(t), batching())
			product := r.product(9)
			prepared, lost := r.reserved(minute, line(product, 1)), r.reserved(minute, line(product, 2))
			_, err := r.service.Confirm(t.Context(), prepared.ID.String())
			require.NoError(t, err)
			between.arm(cut)

			confirmed, err := r.service.Confirm(t.Context(), lost.ID.String())

			require.NoError(t, err)
			require.True(t, between.disarmed())
			require.Equal(t, stock.Confirmed, confirmed.State)
			r.conserved(product)
		})
	}
}
