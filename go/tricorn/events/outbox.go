package events

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"

	"tricorn/telemetry"
	"tricorn/wire"
)

const partitions = 64

// The statement of every implementation: the row of aggregate_sequence stays locked until the transaction ends, so that an aggregate's numbers have no
// gaps and its events become visible in their order.
const publish = `
WITH sequenced AS (
    INSERT INTO aggregate_sequence AS a (subject, last) VALUES ($1::text, 1)
    ON CONFLICT (subject) DO UPDATE SET last = a.last + 1
    RETURNING a.subject, a.last
), logged AS (
    INSERT INTO outbox (subject, sequence, id, type, partition, data, traceparent, causation)
    SELECT subject, last, $2::uuid, $3::text, $4::smallint, $5::bytea, $6::text, $7::text FROM sequenced
    RETURNING position, partition
)
INSERT INTO outbox_pending (position, partition) SELECT position, partition FROM logged`

// Executor is a transaction of the publishing context, or a pool, where the event is all there is to write.
type Executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Publish writes an event of the aggregate subject, in one round trip; it exists when the transaction commits. Publish last: what comes after it makes
// others wait who publish for the same aggregate. Relays find the event at their next look, or as soon as Wake is called.
func Publish(ctx context.Context, transaction Executor, subject string, event proto.Message) error {
	name := string(event.ProtoReflect().Descriptor().FullName())
	if subject == "" {
		return fmt.Errorf("publish %s: an event needs a subject, the id of its aggregate", name)
	}
	data, err := proto.Marshal(event)
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("publish %s: make its id: %w", name, err)
	}
	causation := ""
	if call := wire.CallOf(ctx); call != nil {
		causation = call.Causation
	}
	_, err = transaction.Exec(
		ctx, publish, subject, id, name, int16(Partition(subject)), data, telemetry.Traceparent(ctx), causation)
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	return nil
}

// Wake tells whoever follows a context's events that there are new ones. Call it after the commit: inside the transaction it would make all commits of
// the database wait for each other.
func Wake(ctx context.Context, on Executor, source string) error {
	if _, err := on.Exec(ctx, "SELECT pg_notify($1, '')", channelFor+source); err != nil {
		return fmt.Errorf("tell that there are events of %s: %w", source, err)
	}
	return nil
}

// Partition is which of the 64 an aggregate belongs to: the first eight bytes of the SHA-256 of its id, as a number, modulo 64.
func Partition(subject string) int {
	// The remainder of a number whose last byte comes last is that byte's.
	return int(sha256.Sum256([]byte(subject))[7] % partitions)
}
