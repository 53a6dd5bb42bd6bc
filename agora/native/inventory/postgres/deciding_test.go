package postgres

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"agora/native/inventory/batch"
	"agora/native/inventory/stock"
)

func TestWhatWasRefusedBesideAClaimThatFailedIsDecidedOnceMore(t *testing.T) {
	product, other := uuid.New(), uuid.New()
	there := &present{}
	there.shelves.Put(product, stock.Shelf{Warehouse: uuid.New(), Available: 1})
	there.shelves.Put(other, stock.Shelf{Warehouse: uuid.New(), Available: 1})
	work := claims(t, product, product, other)
	decided := decide(work, there)
	end := time.Now()

	outcomes := decided.settle(map[uuid.UUID]time.Time{work[2].Work.Reservation: end})

	require.Equal(t, batch.Again, outcomes[0].Next, "its key was not free any more")
	require.Equal(t, batch.Again, outcomes[1].Next, "it was refused for the first one's sake")
	require.NoError(t, outcomes[2].Err)
	require.Equal(t, end, outcomes[2].Answer.ExpireTime)
}

func TestWhatNeedsAProductThatSomebodyHoldsIsLeftOutAndTheOthersAreNot(t *testing.T) {
	held, free := uuid.New(), uuid.New()
	there := &present{contended: map[uuid.UUID]struct{}{held: {}}}
	there.shelves.Put(free, stock.Shelf{Warehouse: uuid.New(), Available: 1})

	decided := decide(claims(t, held, free), there)

	require.Equal(t, batch.Held, decided.outcomes[0].Next)
	require.Equal(t, []uuid.UUID{decided.leader[1]}, decided.create.ReservationIds)
}

func claims(t *testing.T, products ...uuid.UUID) []call {
	work := make([]call, len(products))
	for at, product := range products {
		work[at] = batch.NewCall(t.Context(), stock.Claim{
			Reservation: uuid.New(), Key: uuid.NewString(), Lines: []stock.Line{{Product: product, Quantity: 1}},
		})
	}
	return work
}
