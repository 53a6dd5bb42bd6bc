package postgres_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres"
	"agora/native/inventory/stock"
)

const kinds = 3

// model is three counters for each product, and what keys stand for.
type model struct {
	available, held, sold [kinds]int32
	made                  map[string]*claimed
}

type claimed struct {
	id       uuid.UUID
	quantity [kinds]int32
	state    stock.State
}

// claim is what a claim is to be answered with: a reason, or nothing.
func (m *model) claim(key string, id uuid.UUID, quantity [kinds]int32) string {
	if earlier, found := m.made[key]; found {
		if earlier.quantity != quantity {
			return "IDEMPOTENCY_KEY_REUSED"
		}
		return ""
	}
	for kind, wanted := range quantity {
		if wanted > m.available[kind] {
			return "OUT_OF_STOCK"
		}
	}
	for kind, wanted := range quantity {
		m.available[kind] -= wanted
		m.held[kind] += wanted
	}
	m.made[key] = &claimed{id, quantity, stock.Held}
	return ""
}

// settle moves what a held reservation holds to a counter.
func (m *model) settle(of *claimed, state stock.State, to *[kinds]int32) {
	for kind, units := range of.quantity {
		m.held[kind] -= units
		to[kind] += units
	}
	of.state = state
}

func TestBatchesDoWhatASimpleModelDoesOneClaimAfterTheOther(t *testing.T) {
	r := open(t)
	reserving := postgres.NewReserving(r.pool)
	rapid.Check(t, func(rt *rapid.T) {
		products := [kinds]uuid.UUID{}
		m := &model{made: map[string]*claimed{}}
		for kind := range products {
			north, south := rapid.Int32Range(0, 9).Draw(rt, "north"), rapid.Int32Range(0, 9).Draw(rt, "south")
			products[kind] = r.product(north, south)
			m.available[kind] = north + south
		}
		prefix := key()
		anyKey := rapid.Custom(func(rt *rapid.T) string {
			return fmt.Sprint(prefix, rapid.IntRange(0, 9).Draw(rt, "key"))
		})
		batches := func(rt *rapid.T) {
			var work []batch.Call[stock.Claim]
			var expected []string
			for range rapid.IntRange(1, 8).Draw(rt, "claims") {
				wanted, quantity := wantedOf(rt, products)
				each := claim(anyKey.Draw(rt, "of"), wanted...)
				work = append(work, calls(t, each)...)
				expected = append(expected, m.claim(each.Key, each.Reservation, quantity))
			}
			manner := rapid.SampledFrom([]batch.Manner{batch.Eager, batch.Patient, batch.Stubborn}).Draw(rt, "manner")
			outcomes, err := reserving.Run(t.Context(), work, manner)
			require.NoError(rt, err)
			for at, outcome := range outcomes {
				require.Equal(rt, batch.Settled, outcome.Next)
				require.Equal(rt, expected[at], reason(outcome.Err))
				if expected[at] == "" {
					require.Equal(rt, m.made[work[at].Work.Key].id, outcome.Answer.ID)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": batches,
			"confirm": func(rt *rapid.T) {
				of := m.made[anyKey.Draw(rt, "of")]
				if of == nil {
					return
				}
				_, err := r.service.Confirm(t.Context(), of.id.String())
				if of.state == stock.Held {
					m.settle(of, stock.Confirmed, &m.sold)
				}
				require.Equal(rt, of.state == stock.Confirmed, err == nil)
			},
			"release": func(rt *rapid.T) {
				of := m.made[anyKey.Draw(rt, "of")]
				if of == nil {
					return
				}
				_, err := r.service.Release(t.Context(), of.id.String())
				if of.state == stock.Held {
					m.settle(of, stock.Released, &m.available)
				}
				require.Equal(rt, of.state == stock.Released, err == nil)
			},
			"restock": func(rt *rapid.T) {
				wanted, quantity := wantedOf(rt, products)
				_, err := r.service.Restock(t.Context(), key(), stock.Delivery{Lines: wanted})
				require.NoError(rt, err)
				for kind, units := range quantity {
					m.available[kind] += units
				}
			},
			"": func(rt *rapid.T) { require.Equal(rt, m.counters(), r.counters(products)) },
		})
		r.conserved(products[:]...)
	})
}

// wantedOf are lines in any order, and the same as units of each product.
func wantedOf(rt *rapid.T, products [kinds]uuid.UUID) ([]stock.Line, [kinds]int32) {
	wanted, quantity := lines(), [kinds]int32{}
	order := rapid.Permutation([]int{0, 1, 2}).Draw(rt, "order")
	for _, kind := range order[:rapid.IntRange(1, kinds).Draw(rt, "lines")] {
		quantity[kind] = rapid.Int32Range(1, 6).Draw(rt, "quantity")
		wanted = append(wanted, line(products[kind], quantity[kind]))
	}
	return wanted, quantity
}

func (m *model) counters() (all [kinds][3]int32) {
	for kind := range all {
		all[kind] = [3]int32{m.available[kind], m.held[kind], m.sold[kind]}
	}
	return all
}

// counters are what is available, held and sold of each product.
func (r *room) counters(products [kinds]uuid.UUID) (all [kinds][3]int32) {
	r.t.Helper()
	for kind, product := range products {
		require.NoError(r.t, r.pool.QueryRow(r.ctx,
			"SELECT sum(available)::int, sum(held)::int, sum(sold)::int FROM stock WHERE product_id = $1", product,
		).Scan(&all[kind][0], &all[kind][1], &all[kind][2]))
	}
	return all
}
