package storefront

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "agora/native/gen/agora/inventory/v1"
	storefrontv1 "agora/native/gen/agora/storefront/v1"
)

const productColumns = `product_id::text, seller_id::text, title, description, category_ids::text[],
    base_price_minor_units, release_year, created_at, updated_at, version`

const productByID = `SELECT ` + productColumns + `
FROM published.product_v1 WHERE product_id = $1::text::uuid`

const stockOf = `SELECT product_id::text, warehouse_id::text, available FROM published.stock_v1
WHERE product_id = ANY ($1::text[]::uuid[]) ORDER BY stock_v1.product_id, stock_v1.warehouse_id`

const demandOf = `SELECT asked.product_id::text, coalesce(sum(units) FILTER (WHERE day >= $2), 0)::bigint,
    coalesce(sum(units), 0)::bigint,
    coalesce((SELECT spent_minor_units FROM published.customer_v1 WHERE user_id = $5::text::uuid), 0)
FROM unnest($1::text[]::uuid[]) WITH ORDINALITY AS asked (product_id, position)
LEFT JOIN published.demand_day_v1 AS sold ON sold.product_id = asked.product_id AND day BETWEEN $3 AND $4
GROUP BY position, asked.product_id ORDER BY position`

// item is a product on sale with what its price depends on.
type item struct {
	product   *storefrontv1.Product
	base      int64
	demand    int32
	inventory *storefrontv1.Inventory
}

// views reads what other contexts publish.
type views struct {
	pool *pgxpool.Pool
}

// one reads a product and what its price depends on in one round trip; nil when it is not on sale. spent is what the
// customer (empty: nobody) has spent.
func (v views) one(ctx context.Context, id, customer string, today time.Time) (found *item, spent int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(productByID, id).QueryRow(func(row pgx.Row) error {
		read, _, err := readProduct(row)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		found = read
		return err
	})
	about := v.askAbout(batch, []string{id}, customer, today)
	if err := v.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("read the product %s: %w", id, err)
	}
	if found != nil {
		about.tell(found)
	}
	return found, about.spent, nil
}

// page reads the products of a search, each with its place in the order, at most one more than the page holds.
func (v views) page(ctx context.Context, wanted search) (items []*item, places []any, err error) {
	sql, args := wanted.statement()
	rows, err := v.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("search the products: %w", err)
	}
	defer rows.Close()
	for rows.Next() && len(items) <= wanted.size {
		var key any
		read, key, err := readProduct(rows, &key)
		if err != nil {
			return nil, nil, fmt.Errorf("read a product that was found: %w", err)
		}
		items, places = append(items, read), append(places, key)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("read the products that were found: %w", err)
	}
	return items, places, nil
}

// complete reads what the items' prices depend on, in one round trip, and what the customer has spent.
func (v views) complete(ctx context.Context, items []*item, customer string, today time.Time) (int64, error) {
	ids := make([]string, len(items))
	for i, each := range items {
		ids[i] = each.product.GetProductId()
	}
	batch := &pgx.Batch{}
	about := v.askAbout(batch, ids, customer, today)
	if err := v.pool.SendBatch(ctx, batch).Close(); err != nil {
		return 0, fmt.Errorf("read stock and demand: %w", err)
	}
	for _, each := range items {
		about.tell(each)
	}
	return about.spent, nil
}

// facts are what is known of products besides themselves, by id.
type facts struct {
	stocks  map[string]*storefrontv1.Inventory
	demands map[string]int32
	spent   int64
}

func (f *facts) tell(what *item) {
	id := what.product.GetProductId()
	what.demand = f.demands[id]
	if what.inventory = f.stocks[id]; what.inventory == nil {
		what.inventory = &storefrontv1.Inventory{}
	}
}

func (v views) askAbout(batch *pgx.Batch, ids []string, customer string, today time.Time) *facts {
	about := &facts{
		stocks:  make(map[string]*storefrontv1.Inventory, len(ids)),
		demands: make(map[string]int32, len(ids)),
	}
	batch.Queue(stockOf, ids).Query(func(rows pgx.Rows) error {
		var id string
		var warehouse string
		var available int32
		_, err := pgx.ForEachRow(rows, []any{&id, &warehouse, &available}, func() error {
			stock := about.stocks[id]
			if stock == nil {
				stock = &storefrontv1.Inventory{}
				about.stocks[id] = stock
			}
			stock.Available += available
			stock.Warehouses = append(stock.Warehouses, &inventoryv1.WarehouseStock{
				WarehouseId: warehouse, Available: available,
			})
			return nil
		})
		return err
	})
	var user *string
	if customer != "" {
		user = &customer
	}
	recentFrom, usualFrom := firstDays(today)
	batch.Queue(demandOf, ids, recentFrom, usualFrom, today, user).Query(func(rows pgx.Rows) error {
		var id string
		var recent, usual int64
		_, err := pgx.ForEachRow(rows, []any{&id, &recent, &usual, &about.spent}, func() error {
			about.demands[id] = demandBasisPoints(recent, usual)
			return nil
		})
		return err
	})
	return about
}

// readProduct reads a row of productColumns, and into more what follows them; the last of these is returned.
func readProduct(row pgx.Row, more ...*any) (*item, any, error) {
	var product storefrontv1.Product
	var created, updated time.Time
	var base, version int64
	into := []any{
		&product.ProductId, &product.SellerId, &product.Title, &product.Description, &product.CategoryIds,
		&base, &product.ReleaseYear, &created, &updated, &version,
	}
	for _, each := range more {
		into = append(into, each)
	}
	if err := row.Scan(into...); err != nil {
		return nil, nil, err
	}
	product.CreateTime, product.UpdateTime = timestamppb.New(created), timestamppb.New(updated)
	product.Etag = strconv.FormatInt(version, 10)
	var last any
	if len(more) > 0 {
		last = *more[len(more)-1]
	}
	return &item{product: &product, base: base}, last, nil
}
