package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"agora/native/inventory/postgres/queries"
	"agora/native/inventory/stock"
)

// Repository has the changes that stand alone, each one statement and so one transaction, and the reads.
type Repository struct {
	queries *queries.Queries
	// Guesses by the stock that is read here.
	reserving *Reserving
}

// NewRepository uses the connections that reserving uses, which is told what stock there is whenever somebody reads it.
func NewRepository(reserving *Reserving) *Repository {
	return &Repository{queries: queries.New(reserving.pool), reserving: reserving}
}

// Confirm turns held units into sold ones. Nil: it is not held, or no longer.
func (r *Repository) Confirm(ctx context.Context, id uuid.UUID) (*stock.Reservation, error) {
	rows, err := r.queries.Confirm(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("confirming: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return changed(queries.ReleaseRow(rows[0])), nil
}

// Release turns held units back into available ones. Nil: it is not held.
func (r *Repository) Release(ctx context.Context, id uuid.UUID) (*stock.Reservation, error) {
	rows, err := r.queries.Release(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("releasing: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	r.reserving.known.forget(rows[0].ProductIds)
	return changed(rows[0]), nil
}

// Prolong lets it live for so long from now, or as long as it would have. Nil: it is not held, or no longer.
func (r *Repository) Prolong(ctx context.Context, id uuid.UUID, hold time.Duration) (*stock.Reservation, error) {
	rows, err := r.queries.Prolong(ctx, queries.ProlongParams{ReservationID: id, Hold: hold})
	if err != nil {
		return nil, fmt.Errorf("prolonging: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return changed(queries.ReleaseRow(rows[0])), nil
}

// Reservation reads one; nil when there is none.
func (r *Repository) Reservation(ctx context.Context, id uuid.UUID) (*stock.Reservation, error) {
	rows, err := r.queries.ReservationsByID(ctx, []uuid.UUID{id})
	if err != nil {
		return nil, fmt.Errorf("reading a reservation: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	row := rows[0]
	found := reservation(
		row.ReservationID, row.State, row.Overdue, row.ProductIds, row.WarehouseIds, row.Quantities, row.ExpireTime,
	)
	return &found, nil
}

// Stock has one entry for each product, in the order asked for; one that no warehouse knows has no shelves.
func (r *Repository) Stock(ctx context.Context, products []uuid.UUID) ([]stock.Stock, error) {
	rows, err := r.reserving.pool.Query(ctx, queries.StockOf, binary(products))
	there := &present{}
	if err == nil {
		err = there.put(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("reading stock: %w", err)
	}
	r.reserving.known.fill(products, there)
	stocks := make([]stock.Stock, len(products))
	for at, product := range products {
		stocks[at] = stock.Stock{Product: product, Shelves: there.shelves.Of(product)}
	}
	return stocks, nil
}

// Restock adds units once per key; false when the key was used before. It refuses with NOT_FOUND when there is no such
// warehouse, or none at all.
func (r *Repository) Restock(ctx context.Context, key string, delivery stock.Delivery) (bool, error) {
	units := queries.AddUnitsParams{Key: key, WarehouseID: delivery.Warehouse}
	for _, line := range delivery.Lines {
		units.ProductIds = append(units.ProductIds, line.Product)
		units.Quantities = append(units.Quantities, line.Quantity)
	}
	added, err := r.queries.AddUnits(ctx, units)
	r.reserving.known.forget(units.ProductIds)
	switch state := stateOf(err); {
	case err == nil:
		return added, nil
	case state == foreignKeyViolation || state == notNullViolation:
		return false, stock.NoWarehouse(delivery.Warehouse)
	}
	return false, fmt.Errorf("restocking: %w", err)
}

// Delivery is the restock that a key stands for; nil when there is none.
func (r *Repository) Delivery(ctx context.Context, key string) (*stock.Delivery, error) {
	rows, err := r.queries.DeliveryByKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("reading a delivery: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	delivery := &stock.Delivery{Warehouse: rows[0].WarehouseID}
	for at, product := range rows[0].ProductIds {
		delivery.Lines = append(delivery.Lines, stock.Line{Product: product, Quantity: rows[0].Quantities[at]})
	}
	return delivery, nil
}

// Warehouses are all there are, by id.
func (r *Repository) Warehouses(ctx context.Context) ([]stock.Warehouse, error) {
	rows, err := r.queries.Warehouses(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading warehouses: %w", err)
	}
	warehouses := make([]stock.Warehouse, len(rows))
	for at, row := range rows {
		warehouses[at] = stock.Warehouse{ID: row.WarehouseID, Name: row.Name, City: row.City}
	}
	return warehouses, nil
}

func changed(row queries.ReleaseRow) *stock.Reservation {
	made := reservation(
		row.ReservationID, row.State, false, row.ProductIds, row.WarehouseIds, row.Quantities, row.ExpireTime,
	)
	return &made
}
