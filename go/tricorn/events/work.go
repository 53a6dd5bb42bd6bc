package events

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"
)

// Statements is what a handler may do with the transaction that it is given: all but end it.
type Statements interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// Work is the transaction in which an event has its effect, and the way to the outbox of the context that handles it.
type Work struct {
	Statements
	published bool
}

// Publish announces an event of the aggregate subject if the work commits; relays are woken then. It is one round trip, and what comes after it makes
// others wait who publish for the same aggregate: publish last.
func (w *Work) Publish(ctx context.Context, subject string, event proto.Message) error {
	w.published = true
	return Publish(ctx, w, subject, event)
}
