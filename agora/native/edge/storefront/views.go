package storefront

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "agora/native/gen/agora/inventory/v1"
	pricingv1 "agora/native/gen/agora/pricing/v1"
	storefrontv1 "agora/native/gen/agora/storefront/v1"
)

const productColumns = `product_id::text, seller_id::text, title, description, category_ids::text[],
    base_price_minor_units, release_year, created_at, updated_at, version`

// looked are the products of $1, each with the customer of $5 (NULL: nobody in particular) who looks at it.
const looked = `unnest($1::text[]::uuid[], $5::text[]::uuid[]) WITH ORDINALITY AS looked (id, customer, position)`

// What a price depends on besides the product: its stock by warehouse, how it sold on the days from $2 and from $3 until $4, and what the
// customer has spent.
const (
	factColumns = `stock.warehouses, stock.available, coalesce(sold.recent, 0)::bigint, coalesce(sold.usual, 0)::bigint,
    coalesce((SELECT spent_minor_units FROM published.customer_v1 WHERE user_id = looked.customer), 0)`
	factsOf = `
CROSS JOIN LATERAL (
    SELECT array_agg(warehouse_id::text ORDER BY warehouse_id) AS warehouses, array_agg(available ORDER BY warehouse_id) AS available
    FROM published.stock_v1 WHERE product_id = looked.id
) AS stock
CROSS JOIN LATERAL (
    SELECT sum(units) FILTER (WHERE day >= $2) AS recent, sum(units) AS usual
    FROM published.demand_day_v1 WHERE product_id = looked.id AND day BETWEEN $3 AND $4
) AS sold`
)

const productsByID = `SELECT position, ` + factColumns + `, ` + productColumns + `
FROM ` + looked + ` JOIN published.product_v1 ON product_id = looked.id` + factsOf

const factsByID = `SELECT position, ` + factColumns + ` FROM ` + looked + factsOf

// item is a product on sale with what its price for a customer depends on.
type item struct {
	product   *storefrontv1.Product
	base      int64
	demand    int32
	inventory *storefrontv1.Inventory
	tier      pricingv1.Tier
	price     *pricingv1.ProductPrice
}

// question is what is to be known for the item's price.
func (i *item) question() question {
	return question{i.product.GetProductId(), i.base, i.inventory.GetAvailable(), i.demand, i.tier}
}

// complete adds to the product its stock and its price.
func (i *item) complete(price *pricingv1.ProductPrice) {
	i.price, i.product.Inventory = price, i.inventory
	i.product.Pricing = &storefrontv1.Pricing{
		BasePrice:       money(price.GetBaseMinorUnits()),
		FinalPrice:      money(price.GetFinalMinorUnits()),
		DiscountPercent: discountPercent(price.GetBaseMinorUnits(), price.GetFinalMinorUnits()),
		Tier:            i.tier,
	}
}

// views reads what other contexts publish.
type views struct {
	pool *pgxpool.Pool
}

// products reads what is wanted, with what the prices depend on; nil for what is not on sale.
func (v views) products(ctx context.Context, asked []wanted, today time.Time) ([]*item, error) {
	found := make([]*item, len(asked))
	err := v.read(ctx, productsByID, asked, today, func(rows pgx.Rows) error {
		var place int
		var about facts
		read, err := readProduct(rows, about.into(&place))
		if err != nil {
			return err
		}
		about.tell(read)
		found[place-1] = read
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read products: %w", err)
	}
	return found, nil
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
		read, err := readProduct(rows, nil, &key)
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

// complete reads what the prices of items depend on.
func (v views) complete(ctx context.Context, items []*item, customer string, today time.Time) error {
	asked := make([]wanted, len(items))
	for i, each := range items {
		asked[i] = wanted{each.product.GetProductId(), customer}
	}
	err := v.read(ctx, factsByID, asked, today, func(rows pgx.Rows) error {
		var place int
		var about facts
		if err := rows.Scan(about.into(&place)...); err != nil {
			return err
		}
		about.tell(items[place-1])
		return nil
	})
	if err != nil {
		return fmt.Errorf("read stock and demand: %w", err)
	}
	return nil
}

// read asks for what is looked at, in one round trip, and gives each row to take.
func (v views) read(ctx context.Context, sql string, asked []wanted, today time.Time, take func(pgx.Rows) error) error {
	ids, customers := make([]string, len(asked)), make([]*string, len(asked))
	for i, each := range asked {
		ids[i] = each.id
		if each.customer != "" {
			customers[i] = &each.customer
		}
	}
	recentFrom, usualFrom := firstDays(today)
	rows, err := v.pool.Query(ctx, sql, ids, recentFrom, usualFrom, today, customers)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// facts are a row of factColumns.
type facts struct {
	warehouses           []string
	available            []int32
	recent, usual, spent int64
}

// into is where a row goes whose place comes before its facts.
func (f *facts) into(place *int) []any {
	return []any{place, &f.warehouses, &f.available, &f.recent, &f.usual, &f.spent}
}

func (f *facts) tell(what *item) {
	what.demand, what.tier = demandBasisPoints(f.recent, f.usual), tierFor(f.spent)
	what.inventory = &storefrontv1.Inventory{}
	for i, warehouse := range f.warehouses {
		what.inventory.Available += f.available[i]
		what.inventory.Warehouses = append(what.inventory.Warehouses, &inventoryv1.WarehouseStock{
			WarehouseId: warehouse, Available: f.available[i],
		})
	}
}

// readProduct reads a row of productColumns, and the columns before or after them.
func readProduct(row pgx.Row, before []any, after ...any) (*item, error) {
	var product storefrontv1.Product
	var created, updated time.Time
	var base, version int64
	into := append(before,
		&product.ProductId, &product.SellerId, &product.Title, &product.Description, &product.CategoryIds,
		&base, &product.ReleaseYear, &created, &updated, &version)
	if err := row.Scan(append(into, after...)...); err != nil {
		return nil, err
	}
	product.CreateTime, product.UpdateTime = timestamppb.New(created), timestamppb.New(updated)
	product.Etag = strconv.FormatInt(version, 10)
	return &item{product: &product, base: base}, nil
}
