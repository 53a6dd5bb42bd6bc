package stock_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"agora/native/inventory/stock"
	"tricorn/contract"
)

var (
	product = uuid.MustParse("20000000-0000-4000-8000-000000000001")
	other   = uuid.MustParse("20000000-0000-4000-8000-000000000002")
	depot   = uuid.MustParse("10000000-0000-4000-8000-000000000001")
)

func TestShelvesGiveAllLinesOrNothingAndNeverMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		available := rapid.SliceOfN(rapid.Int32Range(0, 20), 1, 4).Draw(rt, "available")
		var shelves stock.Shelves
		left := int64(0)
		for at, units := range available {
			shelves.Put(product, stock.Shelf{Warehouse: uuid.UUID{15: byte(at)}, Available: units})
			left += int64(units)
		}
		for range rapid.IntRange(1, 10).Draw(rt, "claims") {
			wanted := rapid.Int32Range(1, 15).Draw(rt, "wanted")
			taken, shortage := shelves.Take([]stock.Line{{Product: product, Quantity: wanted}})
			if int64(wanted) > left {
				require.Equal(rt, &stock.Shortage{Product: product, Requested: wanted, Available: left}, shortage)
				continue
			}
			require.Nil(rt, shortage)
			sum := int32(0)
			for _, allocation := range taken {
				require.Positive(rt, allocation.Quantity)
				sum += allocation.Quantity
			}
			require.Equal(rt, wanted, sum)
			left -= int64(wanted)
		}
	})
}

func TestAShortLineLeavesTheOthersUntouched(t *testing.T) {
	var shelves stock.Shelves
	shelves.Put(product, stock.Shelf{Warehouse: depot, Available: 3})

	_, shortage := shelves.Take([]stock.Line{{product, 3}, {other, 1}})
	taken, _ := shelves.Take([]stock.Line{{product, 3}})

	require.Equal(t, other, shortage.Product)
	require.Equal(t, []stock.Allocation{{product, depot, 3}}, taken)
}

func TestARefusalNamesTheProductAndWhatIsLeft(t *testing.T) {
	refusal := stock.Shortage{Product: product, Requested: 3, Available: 2}.Refusal()

	require.Equal(t, "OUT_OF_STOCK", refusal.Reason)
	require.Equal(t, "3 of product "+product.String()+" were asked for and 2 are available.", refusal.Detail)
	require.Equal(t, map[string]string{"product_id": product.String(), "requested": "3", "available": "2"}, refusal.Metadata)
}

func TestWhatAnActionFindsDecidesItsAnswer(t *testing.T) {
	expected := map[stock.Action]map[stock.State]string{
		stock.Confirm: {stock.Held: "ABORTED", stock.Released: "INVALID_STATE", stock.Expired: "RESERVATION_EXPIRED"},
		stock.Release: {stock.Held: "ABORTED", stock.Confirmed: "INVALID_STATE"},
		stock.Prolong: {
			stock.Held: "ABORTED", stock.Confirmed: "INVALID_STATE", stock.Released: "INVALID_STATE",
			stock.Expired: "RESERVATION_EXPIRED",
		},
	}
	for action, reasons := range expected {
		for _, state := range []stock.State{stock.Held, stock.Confirmed, stock.Released, stock.Expired} {
			_, err := stock.Settled(action, stock.Reservation{State: state})

			var refusal *contract.Refusal
			said := ""
			if errors.As(err, &refusal) {
				said = refusal.Reason
			}
			require.Equal(t, reasons[state], said, "%s %s", action, state)
		}
	}
}

func TestTheEndOfAReservationIsWrittenAsTheReferenceWritesIt(t *testing.T) {
	for written, nanoseconds := range map[string]int{
		"2026-11-21T12:00:00+00:00": 0, "2026-11-21T12:00:00.000120+00:00": 120_000,
	} {
		ended := time.Date(2026, 11, 21, 12, 0, 0, nanoseconds, time.UTC)

		_, err := stock.Settled(stock.Confirm, stock.Reservation{State: stock.Expired, ExpireTime: ended})

		require.ErrorContains(t, err, "The reservation ended at "+written+".")
	}
}

func TestLinesComeBackInTheirOrderWhateverWarehousesGave(t *testing.T) {
	made := stock.Reservation{Allocations: []stock.Allocation{{other, depot, 2}, {other, product, 1}, {product, depot, 4}}}

	require.Equal(t, []stock.Line{{other, 3}, {product, 4}}, made.Lines())
}

func TestADeliveryIsTheSameWhateverTheOrderOfItsLinesAndNotWithAnotherWarehouse(t *testing.T) {
	one := stock.Delivery{Lines: []stock.Line{{product, 1}, {other, 2}}}
	turned := stock.Delivery{Lines: []stock.Line{{other, 2}, {product, 1}}}
	elsewhere := stock.Delivery{Warehouse: &depot, Lines: one.Lines}

	require.True(t, one.Same(turned))
	require.False(t, one.Same(elsewhere))
	require.True(t, elsewhere.Same(elsewhere))
	require.False(t, one.Same(stock.Delivery{Lines: one.Lines[:1]}))
}
