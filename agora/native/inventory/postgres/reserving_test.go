package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres"
	"agora/native/inventory/stock"
	"tricorn/contract"
	"tricorn/data"
)

func lines(all ...stock.Line) []stock.Line { return all }

// reason is what a caller is refused with; empty when it is not.
func reason(err error) string {
	var refusal *contract.Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	if refusal := data.Refusal(err); refusal != nil {
		return refusal.Reason
	}
	return ""
}

func TestABatchIsDecidedInTheOrderOfArrivalEachClaimAllOrNothing(t *testing.T) {
	r := open(t)
	one, two := r.product(5), r.product(1)
	work := calls(t,
		claim(key(), line(one, 3)),
		claim(key(), line(one, 1), line(two, 2)),
		claim(key(), line(one, 3)),
		claim(key(), line(two, 1), line(one, 2)),
	)

	outcomes, err := postgres.NewReserving(r.pool).Run(t.Context(), work, batch.Eager)

	require.NoError(t, err)
	require.NoError(t, outcomes[0].Err)
	require.Equal(t, "OUT_OF_STOCK", reason(outcomes[1].Err))
	require.Equal(t, "OUT_OF_STOCK", reason(outcomes[2].Err))
	require.NoError(t, outcomes[3].Err)
	require.Equal(t, lines(line(two, 1), line(one, 2)), outcomes[3].Answer.Lines())
	require.Equal(t, []int64{0, 0}, r.available(one, two))
	r.conserved(one, two)
}

func TestOneKeyTwiceInABatchIsOneReservationAndWithOtherLinesRefused(t *testing.T) {
	r := open(t)
	product, same := r.product(9), key()
	work := calls(t, claim(same, line(product, 2)), claim(same, line(product, 2)), claim(same, line(product, 3)))

	outcomes, err := postgres.NewReserving(r.pool).Run(t.Context(), work, batch.Eager)

	require.NoError(t, err)
	require.Equal(t, outcomes[0], outcomes[1])
	require.Equal(t, work[0].Work.Reservation, outcomes[0].Answer.ID)
	require.Equal(t, "IDEMPOTENCY_KEY_REUSED", reason(outcomes[2].Err))
	require.Equal(t, []int64{7}, r.available(product))
}

func TestOneKeyTwiceInABatchMaySucceedWhereItsFirstUseWasRefused(t *testing.T) {
	r := open(t)
	product, same := r.product(2), key()
	work := calls(t, claim(same, line(product, 3)), claim(same, line(product, 2)))

	outcomes, err := postgres.NewReserving(r.pool).Run(t.Context(), work, batch.Eager)

	require.NoError(t, err)
	require.Equal(t, "OUT_OF_STOCK", reason(outcomes[0].Err))
	require.NoError(t, outcomes[1].Err)
}

func TestAKeyGivesItsReservationAgainAsItIsByNow(t *testing.T) {
	r := open(t)
	product, same := r.product(2), key()
	first, err := r.service.Reserve(t.Context(), same, lines(line(product, 2)), minute)
	require.NoError(t, err)
	_, err = r.service.Confirm(t.Context(), first.ID.String())
	require.NoError(t, err)

	again, err := r.service.Reserve(t.Context(), same, lines(line(product, 2)), minute)

	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	require.Equal(t, stock.Confirmed, again.State)
	require.WithinDuration(t, first.ExpireTime, again.ExpireTime, 0)
}

func TestTheWarehouseWithMostGivesFirstAndOfTwoAlikeTheOneWithTheLowerID(t *testing.T) {
	r := open(t)
	product := r.product(4, 7, 4)

	made, err := r.service.Reserve(t.Context(), key(), lines(line(product, 12)), minute)

	require.NoError(t, err)
	require.Equal(t, []stock.Allocation{
		{Product: product, Warehouse: warehouse(2), Quantity: 7},
		{Product: product, Warehouse: warehouse(1), Quantity: 4},
		{Product: product, Warehouse: warehouse(3), Quantity: 1},
	}, made.Allocations)
	r.conserved(product)
}

func TestFiftyAtOnceNeverGetMoreThanTheTwentyUnitsThereAre(t *testing.T) {
	r := open(t)
	product := r.product(8, 7, 5)

	refused := together(50, func(int) error {
		_, err := r.service.Reserve(t.Context(), key(), lines(line(product, 1)), minute)
		return err
	})

	require.Equal(t, map[string]int{"": 20, "OUT_OF_STOCK": 30}, refused)
	require.Equal(t, []int64{0}, r.available(product))
	r.conserved(product)
}

func TestLinesInOppositeOrdersDoNotDeadlock(t *testing.T) {
	r := open(t)
	products := []uuid.UUID{r.product(40, 40), r.product(40, 40), r.product(40, 40)}

	refused := together(120, func(number int) error {
		wanted := lines(line(products[number%3], 1), line(products[(number+1)%3], 1))
		made, err := r.service.Reserve(t.Context(), key(), wanted, minute)
		if err == nil && number%2 == 0 {
			_, err = r.service.Confirm(t.Context(), made.ID.String())
		} else if err == nil {
			_, err = r.service.Release(t.Context(), made.ID.String())
		}
		return err
	})

	require.Equal(t, map[string]int{"": 120}, refused)
	require.Equal(t, []int64{40, 40, 40}, r.available(products...))
	r.conserved(products...)
}

func TestACallerWhoseTimeIsOverWhileItsStockIsLockedGetsNothing(t *testing.T) {
	r := open(t)
	product := r.product(5)
	lapsed, lapse := context.WithCancel(t.Context())
	lapse()
	work := []batch.Call[stock.Claim]{
		batch.NewCall(lapsed, claim(key(), line(product, 5))),
		batch.NewCall(t.Context(), claim(key(), line(product, 4))),
	}

	outcomes, err := postgres.NewReserving(r.pool).Run(t.Context(), work, batch.Eager)

	require.NoError(t, err)
	require.ErrorIs(t, outcomes[0].Err, context.Canceled)
	require.NoError(t, outcomes[1].Err)
	require.Equal(t, []int64{1}, r.available(product))
}

func TestClosingAnswersEveryCallThatWasTaken(t *testing.T) {
	r := open(t)
	product := r.product(100)
	begun, answered := make(chan struct{}, 100), make(chan string, 100)
	for number := range 100 {
		go func() {
			begun <- struct{}{}
			_, err := r.service.Reserve(t.Context(), fmt.Sprint(product, number), lines(line(product, 1)), minute)
			answered <- reason(err)
		}()
	}
	for range 100 {
		<-begun
	}

	ctx, cancel := context.WithTimeout(t.Context(), minute)
	defer cancel()
	require.NoError(t, r.batcher.Close(ctx))

	taken := int64(0)
	for range 100 {
		switch said := <-answered; said {
		case "":
			taken++
		default:
			require.Equal(t, "UNAVAILABLE", said)
		}
	}
	require.Equal(t, []int64{100 - taken}, r.available(product))
	r.conserved(product)
}

// together runs so many calls at once, and counts what they were refused with.
func together(number int, do func(number int) error) map[string]int {
	var mutex sync.Mutex
	var tasks sync.WaitGroup
	refused := map[string]int{}
	for each := range number {
		tasks.Go(func() {
			err := do(each)
			said := reason(err)
			if err != nil && said == "" {
				said = err.Error()
			}
			mutex.Lock()
			defer mutex.Unlock()
			refused[said]++
		})
	}
	tasks.Wait()
	return refused
}
