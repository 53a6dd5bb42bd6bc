package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tricorn/contract"
	"tricorn/data"
)

// SQLSTATE codes that are told apart here; what the others mean to a caller, tricorn/data says.
const (
	lockNotAvailable     = "55P03"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	foreignKeyViolation  = "23503"
	notNullViolation     = "23502"
	uniqueViolation      = "23505"
	checkViolation       = "23514"
)

// stateOf is the SQLSTATE that the server answered with; empty when it did not answer.
func stateOf(err error) string {
	var answered *pgconn.PgError
	if errors.As(err, &answered) {
		return answered.Code
	}
	return ""
}

// lost tells whether nobody knows what the server did: it did not answer, or it ended the session.
func lost(err error) bool {
	state := stateOf(err)
	return state == "" || strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "08")
}

// nobodys tells whether a batch failed for what none of its work is to blame for: the database failed, and would fail each of them.
func nobodys(err error) bool {
	refusal := data.Refusal(err)
	return refusal != nil && refusal.Reason != contract.ReasonInvalidArgument
}
