package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"agora/native/inventory/batch"
	"agora/native/inventory/postgres"
	"agora/native/inventory/stock"
)

// trips counts what is sent to the server together.
type trips struct{ count atomic.Int32 }

func (s *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.count.Add(1)
	return ctx
}

func (*trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	s.count.Add(1)
	return ctx
}

func (*trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (*trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// reserve takes units of a product, and gives what each warehouse contributed, or why none did.
func (r *room) reserve(product uuid.UUID, quantity int32) (map[uuid.UUID]int32, string) {
	r.t.Helper()
	made, err := r.service.Reserve(r.ctx, key(), lines(line(product, quantity)), minute)
	from := map[uuid.UUID]int32{}
	for _, allocation := range made.Allocations {
		from[allocation.Warehouse] = allocation.Quantity
	}
	return from, reason(err)
}

func TestABatchTakesOneRoundTripWhereStockIsAsItWasKnown(t *testing.T) {
	seen := &trips{}
	config := configured(t, address(t))
	config.ConnConfig.Tracer = seen
	r, other := openWith(t, start(t, config), batching()), open(t)
	product := r.product(50, 50)
	taken := func() int32 {
		before := seen.count.Load()
		_, refused := r.reserve(product, 2)
		require.Empty(t, refused)
		return seen.count.Load() - before
	}

	alone := []int32{taken(), taken(), taken()}
	_, refused := other.reserve(product, 1)
	besideAnother := []int32{taken(), taken(), taken()}

	require.Empty(t, refused)
	require.Equal(t, []int32{2, 1, 1}, alone)
	require.Equal(t, []int32{3, 2, 1}, besideAnother, "a wrong guess, none, and a right one")
	r.conserved(product)
}

func TestStockThatWasReadIsKnownUntilThisProcessGivesSomeBack(t *testing.T) {
	seen := &trips{}
	config := configured(t, address(t))
	config.ConnConfig.Tracer = seen
	r := openWith(t, start(t, config), batching())
	read, product := r.product(50), r.product(50, 50)
	taken := func(product uuid.UUID) (int32, uuid.UUID) {
		before := seen.count.Load()
		made, err := r.service.Reserve(r.ctx, key(), lines(line(product, 2)), minute)
		require.NoError(t, err)
		return seen.count.Load() - before, made.ID
	}
	r.available(read, product)

	first, reserved := taken(product)
	_, err := r.service.Release(r.ctx, reserved.String())
	require.NoError(t, err)
	afterwards, _ := taken(product)
	_, err = r.service.Restock(r.ctx, key(), stock.Delivery{Lines: lines(line(product, 5))})
	require.NoError(t, err)
	restocked, _ := taken(product)

	require.Equal(t, []int32{1, 2, 1}, []int32{first, afterwards, restocked}, "the answer to a restock reads its stock")
	r.conserved(product)
}

func TestWhatIsNoLongerAsItWasKnownIsDecidedByWhatThereIs(t *testing.T) {
	r, other := open(t), open(t)
	product := r.product(4, 3)
	_, refused := r.reserve(product, 1)
	require.Empty(t, refused)

	_, refused = other.reserve(product, 5)
	require.Empty(t, refused)
	_, refused = r.reserve(product, 2)
	require.Equal(t, "OUT_OF_STOCK", refused)
	_, refused = r.reserve(product, 1)
	require.Empty(t, refused)

	depot := warehouse(3)
	r.exec("INSERT INTO warehouse VALUES ($1, 'W', 'Springfield') ON CONFLICT DO NOTHING", depot)
	_, err := other.service.Restock(t.Context(), key(), stock.Delivery{Warehouse: &depot, Lines: lines(line(product, 9))})
	require.NoError(t, err)
	from, refused := r.reserve(product, 5)
	require.Empty(t, refused)
	require.Equal(t, map[uuid.UUID]int32{depot: 5}, from)

	again, refused := r.reserve(product, 4)
	require.Empty(t, refused)
	require.Equal(t, map[uuid.UUID]int32{depot: 4}, again)
	require.Equal(t, []int64{0}, r.available(product))
	r.conserved(product)
}

func TestAKeyThatWasUsedIsFoundThoughStockIsAsItWasKnown(t *testing.T) {
	r := open(t)
	product, elsewhere, used := r.product(9), r.product(1), key()
	reserving := postgres.NewReserving(r.pool)
	run := func(claims ...stock.Claim) (refused []string) {
		outcomes, err := reserving.Run(t.Context(), calls(t, claims...), batch.Eager)
		require.NoError(t, err)
		for _, outcome := range outcomes {
			require.Equal(t, batch.Settled, outcome.Next)
			refused = append(refused, reason(outcome.Err))
		}
		return refused
	}
	require.Equal(t, []string{"", ""}, run(claim(used, line(elsewhere, 1)), claim(key(), line(product, 1))))

	repeated := run(claim(used, line(elsewhere, 1)), claim(key(), line(product, 1)))
	beside := run(claim(used, line(product, 1)), claim(key(), line(product, 1)))
	known := run(claim(key(), line(product, 1)))
	alone := run(claim(used, line(product, 1)))

	require.Equal(t, []string{"", ""}, repeated, "though nothing is left of what it has")
	require.Equal(t, []string{"IDEMPOTENCY_KEY_REUSED", ""}, beside)
	require.Equal(t, []string{""}, known)
	require.Equal(t, []string{"IDEMPOTENCY_KEY_REUSED"}, alone)
	require.Equal(t, []int64{5}, r.available(product))
	r.conserved(product, elsewhere)
}

func TestAnAnswerThatIsLostIsFoundOutWhereStockIsAsItWasKnown(t *testing.T) {
	for name, cut := range map[string]cut{"it was done": cutNextAnswer, "it was not": cutNextRequest} {
		t.Run(name, func(t *testing.T) {
			between := listen(t, address(t))
			r := openWith(t, between.pool(t), patientBatching())
			product := r.product(10)
			for range 2 {
				_, refused := r.reserve(product, 1)
				require.Empty(t, refused)
			}
			between.arm(cut)

			_, refused := r.reserve(product, 1)

			require.Empty(t, refused)
			require.True(t, between.disarmed())
			require.Equal(t, []int64{7}, r.available(product))
			r.conserved(product)
		})
	}
}
