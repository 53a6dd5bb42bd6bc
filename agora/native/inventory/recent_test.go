package inventory

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"agora/native/inventory/stock"
)

func TestWhatWasReservedLatelyIsRememberedUntilItIsTakenOrTooMuchElseIs(t *testing.T) {
	var held recent
	first := stock.Reservation{ID: uuid.New()}
	held.add(first)
	for range leastRemembered - 1 {
		held.add(stock.Reservation{ID: uuid.New()})
	}
	second := stock.Reservation{ID: uuid.New()}
	held.add(second)

	found, remembered := held.take(first.ID)
	require.True(t, remembered)
	require.Equal(t, first, found)
	_, again := held.take(first.ID)
	require.False(t, again)

	for range leastRemembered {
		held.add(stock.Reservation{ID: uuid.New()})
	}
	for range leastRemembered {
		held.add(stock.Reservation{ID: uuid.New()})
	}
	_, remembered = held.take(second.ID)
	require.False(t, remembered)
}
