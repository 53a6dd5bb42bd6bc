// Package stock takes units of products from PostgreSQL as shops usually do: what a reservation by group commit is measured against.
package stock

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"bench/load"
)

// Ways to take one unit.
const (
	// Locking is a transaction: the row is locked and read, then changed.
	Locking = "for-update"
	// Conditional is one statement that changes the row if enough is left.
	Conditional = "conditional"
)

const (
	lock   = "SELECT available FROM reserved_stock WHERE product_id = $1 FOR UPDATE"
	change = "UPDATE reserved_stock SET available = available - 1 WHERE product_id = $1"
	take   = "UPDATE reserved_stock SET available = available - 1 WHERE product_id = $1 AND available >= 1 RETURNING available"
)

// Statuses of an answer.
const (
	taken = iota
	noneLeft
	failed
)

// Shop is the table behind a pool.
type Shop struct {
	pool *pgxpool.Pool
	way  string
}

// Open connects with so many connections at most, and makes sure that the server keeps what it has confirmed.
func Open(ctx context.Context, url, way string, connections int32) (*Shop, error) {
	if way != Locking && way != Conditional {
		return nil, fmt.Errorf("there is no way %q to take stock", way)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the database's address: %w", err)
	}
	config.MaxConns, config.MinConns = connections, connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	var durable bool
	const asked = "SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') = 'on'"
	if err := pool.QueryRow(ctx, asked).Scan(&durable); err != nil || !durable {
		pool.Close()
		return nil, fmt.Errorf("the database must have fsync and synchronous_commit on (%w)", err)
	}
	return &Shop{pool, way}, nil
}

// Close ends the connections.
func (s *Shop) Close() { s.pool.Close() }

// Callers makes so many, which share the pool.
func (s *Shop) Callers(count int) []load.Caller {
	callers := make([]load.Caller, count)
	for number := range callers {
		callers[number] = caller{s}
	}
	return callers
}

type caller struct{ shop *Shop }

// Call implements load.Caller; a request is a product's id.
func (c caller) Call(ctx context.Context, request []byte) load.Answer {
	product := string(request)
	var err error
	if c.shop.way == Conditional {
		var left int
		err = c.shop.pool.QueryRow(ctx, take, product).Scan(&left)
	} else {
		err = c.shop.locking(ctx, product)
	}
	switch {
	case err == nil:
		return load.Answer{Status: taken, OK: true}
	case errors.Is(err, pgx.ErrNoRows):
		return load.Answer{Status: noneLeft}
	default:
		return load.Answer{Status: failed}
	}
}

// Close implements load.Caller: the pool is the callers' together.
func (caller) Close() {}

func (s *Shop) locking(ctx context.Context, product string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(transaction pgx.Tx) error {
		var available int
		if err := transaction.QueryRow(ctx, lock, product).Scan(&available); err != nil {
			return err
		}
		if available < 1 {
			return pgx.ErrNoRows
		}
		_, err := transaction.Exec(ctx, change, product)
		return err
	})
	if err != nil {
		return fmt.Errorf("taking a unit of %s: %w", product, err)
	}
	return nil
}
