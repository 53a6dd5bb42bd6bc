package data

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// What holds where options say nothing.
const (
	DefaultConnections = 10
	connectTimeout     = 2 * time.Second
	openTimeout        = 10 * time.Second
	idleTime           = time.Minute
	statements         = 200
)

// Options of a pool.
type Options struct {
	// Connections are the most at once; zero: DefaultConnections.
	Connections int32
	// Name is what the server's list of sessions shows.
	Name string
}

// Open opens a pool on a DSN and waits until the server answers, ten seconds at most or as long as the context lasts. Statements are
// prepared once per connection and remembered.
func Open(ctx context.Context, dsn string, options Options) (*pgxpool.Pool, error) {
	// asyncpg's and SQLAlchemy's names for the scheme lead to the same server.
	if scheme, rest, ok := strings.Cut(dsn, "://"); ok {
		name, _, _ := strings.Cut(scheme, "+")
		dsn = name + "://" + rest
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The error of the parser repeats the DSN only with the password taken out.
		return nil, fmt.Errorf("read the address of the database: %w", err)
	}
	config.MaxConns = options.Connections
	if config.MaxConns <= 0 {
		config.MaxConns = DefaultConnections
	}
	config.MaxConnIdleTime = idleTime
	config.MaxConnLifetimeJitter = idleTime
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.StatementCacheCapacity = statements
	if options.Name != "" {
		config.ConnConfig.RuntimeParams["application_name"] = options.Name
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make the pool: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := pool.Ping(within); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach the database: %w", err)
	}
	return pool, nil
}
