package data_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tricorn/contract"
	"tricorn/data"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFailureOfTheDatabaseHasItsRefusal(t *testing.T) {
	for _, each := range []struct {
		err    error
		reason string
	}{
		{&pgconn.PgError{Code: "40001"}, contract.ReasonAborted},
		{&pgconn.PgError{Code: "40P01"}, contract.ReasonAborted},
		{&pgconn.PgError{Code: "55P03"}, contract.ReasonUnavailable},
		{&pgconn.PgError{Code: "57014"}, contract.ReasonDeadlineExceeded},
		{&pgconn.PgError{Code: "57P01"}, contract.ReasonUnavailable},
		{&pgconn.PgError{Code: "08006"}, contract.ReasonUnavailable},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), contract.ReasonUnavailable},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, contract.ReasonUnavailable},
		{context.DeadlineExceeded, contract.ReasonDeadlineExceeded},
		{&pgconn.PgError{Code: "22021"}, contract.ReasonInvalidArgument},
		{&pgconn.PgError{Code: "22P05"}, contract.ReasonInvalidArgument},
		{errors.New("conn closed"), contract.ReasonUnavailable},
	} {
		found := data.Refusal(fmt.Errorf("reserve: %w", each.err))

		require.NotNil(t, found, each.err)
		assert.Equal(t, each.reason, found.Reason, each.err)
		again := each.reason == contract.ReasonAborted || each.reason == contract.ReasonUnavailable
		assert.Equal(t, again, found.RetryAfter > 0, each.err)
	}
}

func TestWhatTheSQLDidIsTheRepositorysToHandle(t *testing.T) {
	for _, err := range []error{
		nil, &pgconn.PgError{Code: "23505"}, &pgconn.PgError{Code: "42501"}, pgx.ErrNoRows, context.Canceled, errors.New("no luck"),
	} {
		assert.Nil(t, data.Refusal(err), err)
	}
}

func TestADatabaseThatCannotBeReachedIsNamedWithoutItsPassword(t *testing.T) {
	for _, dsn := range []string{
		"postgresql+asyncpg://agora:hunter2@127.0.0.1:1/agora?connect_timeout=1", "postgresql://agora:hunter2@[::1/agora",
	} {
		_, err := data.Open(context.Background(), dsn, data.Options{Connections: 1, Name: "toy"})

		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
