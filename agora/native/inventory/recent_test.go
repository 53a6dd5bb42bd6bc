package inventory

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"agora/native/inventory/stock"
)

// reservation is one with so many allocations.
func reservation(allocations int) stock.Reservation {
	return stock.Reservation{ID: uuid.New(), Allocations: make([]stock.Allocation, allocations)}
}

func TestWhatWasReservedLatelyIsRememberedUntilItIsTakenOrTooMuchElseIs(t *testing.T) {
	var held recent
	first, second := reservation(1), reservation(1)
	held.add(first)
	held.add(reservation(leastRemembered - 1))
	held.add(second)

	found, remembered := held.take(first.ID)
	require.True(t, remembered)
	require.Equal(t, first, found)
	_, again := held.take(first.ID)
	require.False(t, again)

	for range 3 {
		held.add(reservation(leastRemembered))
	}
	_, remembered = held.take(second.ID)
	require.False(t, remembered)
}

func TestWhatIsRememberedTwiceOrWasTakenCountsOnce(t *testing.T) {
	var held recent
	first, repeated, taken := reservation(1), reservation(leastRemembered/2), reservation(leastRemembered/2)
	held.add(first)
	for range 5 {
		held.add(repeated)
		held.add(taken)
		held.take(taken.ID)
	}

	_, remembered := held.take(first.ID)

	require.True(t, remembered)
}

type releases struct{ Repository }

func (releases) Release(_ context.Context, id uuid.UUID) (*stock.Reservation, error) {
	return &stock.Reservation{ID: id, State: stock.Released}, nil
}

func TestWhatIsReleasedIsRememberedNoLonger(t *testing.T) {
	service, made := NewService(releases{}, nil, nil), reservation(1)
	service.held.add(made)

	_, err := service.Release(t.Context(), made.ID.String())

	require.NoError(t, err)
	_, remembered := service.held.take(made.ID)
	require.False(t, remembered)
}
