package events

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	tricornv1 "tricorn/v1"
)

func TestAHandlerThatTakesTooLongHasFailed(t *testing.T) {
	address := os.Getenv("TRICORN_DATABASE_BOOKS")
	if address == "" {
		t.Skip("needs TRICORN_DATABASE_BOOKS: tests/events runs it with one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	pool, err := pgxpool.New(ctx, address)
	require.NoError(t, err)
	defer pool.Close()
	slow := NewSubscription("books.slow", "books", pool)
	slow.limit = time.Second
	Handle(slow, func(ctx context.Context, _ *wrapperspb.StringValue, _ Meta, _ *Work) error {
		<-ctx.Done()
		return ctx.Err()
	})

	given := []*tricornv1.Event{{Id: uuid.NewString(), Type: "google.protobuf.StringValue"}}
	outcomes, err := slow.deliver(ctx, given)
	// On a machine that is busy the time may end before the handler began.
	for ; err != nil; outcomes, err = slow.deliver(ctx, given) {
		require.NoError(t, ctx.Err())
	}

	assert.Equal(t, []string{"TimeoutError: "}, outcomes)
}
