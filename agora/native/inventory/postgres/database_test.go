package postgres_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"agora/native/inventory"
	"agora/native/inventory/batch"
	"agora/native/inventory/postgres"
	"agora/native/inventory/stock"
)

const (
	minute      = time.Minute
	connections = 12
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is inventory on the database whose address the environment has, with products of the test's own.
type room struct {
	t       *testing.T
	ctx     context.Context
	pool    *pgxpool.Pool
	batcher *batch.Batcher[uuid.UUID, stock.Claim, stock.Reservation]
	service *inventory.Service
}

func address(t *testing.T) string {
	t.Helper()
	address := os.Getenv("TRICORN_DATABASE_INVENTORY")
	if address == "" {
		t.Skip("needs TRICORN_DATABASE_INVENTORY: agora/tests/inventory runs it with one")
	}
	return address
}

func connect(t *testing.T, address string) *pgxpool.Pool {
	t.Helper()
	return start(t, configured(t, address))
}

func configured(t *testing.T, address string) *pgxpool.Config {
	t.Helper()
	config, err := pgxpool.ParseConfig(address)
	require.NoError(t, err)
	config.MaxConns = connections
	// What a test waits for comes, however slow the machine.
	for _, limit := range []string{"lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"} {
		config.ConnConfig.RuntimeParams[limit] = "60s"
	}
	return config
}

func start(t *testing.T, config *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func open(t *testing.T) *room {
	t.Helper()
	return openWith(t, connect(t, address(t)), batching())
}

func batching() batch.Options {
	options := postgres.Batching(connections, nil)
	options.Longest = minute
	return options
}

func openWith(t *testing.T, pool *pgxpool.Pool, options batch.Options) *room {
	t.Helper()
	reserving := postgres.NewReserving(pool)
	repository := postgres.NewRepository(reserving)
	batcher := batch.New(reserving, stock.Claim.Products, options)
	confirming := batch.New(postgres.NewConfirming(repository), stock.Reservation.Needs, postgres.Confirms(options))
	r := &room{
		t: t, ctx: t.Context(), pool: pool, batcher: batcher,
		service: inventory.NewService(repository, batcher, confirming),
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), minute)
		defer cancel()
		require.NoError(t, confirming.Close(ctx))
		require.NoError(t, batcher.Close(ctx))
	})
	return r
}

// product is a new one with so many units in warehouses 1, 2, ...
func (r *room) product(units ...int32) uuid.UUID {
	r.t.Helper()
	product := uuid.New()
	for at, available := range units {
		r.exec("INSERT INTO warehouse VALUES ($1, 'W', 'Springfield') ON CONFLICT DO NOTHING", warehouse(at+1))
		r.exec(
			"INSERT INTO stock (product_id, warehouse_id, received, available) VALUES ($1, $2, $3::int, $3::int)",
			product, warehouse(at+1), available,
		)
	}
	return product
}

func (r *room) exec(sql string, arguments ...any) {
	r.t.Helper()
	_, err := r.pool.Exec(r.ctx, sql, arguments...)
	require.NoError(r.t, err)
}

// available is what may be reserved of products.
func (r *room) available(products ...uuid.UUID) []int64 {
	r.t.Helper()
	stocks, err := r.service.StockOf(r.ctx, products)
	require.NoError(r.t, err)
	available := make([]int64, len(stocks))
	for at, each := range stocks {
		available[at] = each.Available()
	}
	return available
}

// conserved makes sure that no unit of products is missing, and that what rows hold and have sold is what reservations say.
func (r *room) conserved(products ...uuid.UUID) {
	r.t.Helper()
	var wrong int
	require.NoError(r.t, r.pool.QueryRow(context.WithoutCancel(r.ctx), `
		SELECT count(*) FROM stock LEFT JOIN (
			SELECT a.product_id, a.warehouse_id,
				coalesce(sum(quantity) FILTER (WHERE state = 'HELD'), 0) AS held,
				coalesce(sum(quantity) FILTER (WHERE state = 'CONFIRMED'), 0) AS sold
			FROM reservation,
				unnest(product_ids, warehouse_ids, quantities) AS a (product_id, warehouse_id, quantity)
			WHERE product_ids && $1 GROUP BY a.product_id, a.warehouse_id
		) AS claimed USING (product_id, warehouse_id)
		WHERE product_id = ANY ($1) AND (stock.held <> coalesce(claimed.held, 0)
			OR stock.sold <> coalesce(claimed.sold, 0) OR received <> available + stock.held + stock.sold)`, products,
	).Scan(&wrong))
	require.Zero(r.t, wrong)
}

func warehouse(number int) uuid.UUID {
	var id uuid.UUID
	id[15] = byte(number)
	return id
}

func line(product uuid.UUID, quantity int32) stock.Line {
	return stock.Line{Product: product, Quantity: quantity}
}

// calls are claims that arrive together.
func calls(t *testing.T, claims ...stock.Claim) []batch.Call[stock.Claim] {
	work := make([]batch.Call[stock.Claim], len(claims))
	for at, claim := range claims {
		work[at] = batch.NewCall(t.Context(), claim)
	}
	return work
}

func claim(key string, lines ...stock.Line) stock.Claim {
	return stock.Claim{Reservation: uuid.Must(uuid.NewV7()), Key: key, Lines: lines, Hold: minute}
}

// key is one that no other test uses.
func key() string { return uuid.NewString() }
