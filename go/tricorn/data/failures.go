package data

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"tricorn/contract"
)

const retryAfter = 200 * time.Millisecond

var byState = map[string]string{
	"40001": contract.ReasonAborted,          // serialization failure
	"40P01": contract.ReasonAborted,          // deadlock
	"55P03": contract.ReasonUnavailable,      // lock not available: lock_timeout
	"57014": contract.ReasonDeadlineExceeded, // query cancelled: statement_timeout
	"25P03": contract.ReasonDeadlineExceeded, // idle in transaction for too long
	"25P04": contract.ReasonDeadlineExceeded, // transaction timeout
	"57P01": contract.ReasonUnavailable,      // administrator's shutdown
	"57P02": contract.ReasonUnavailable,      // crash of another session
	"57P03": contract.ReasonUnavailable,      // starting up or shutting down
	"57P05": contract.ReasonUnavailable,      // idle session timeout
	"53100": contract.ReasonUnavailable,      // disk full
	"53200": contract.ReasonUnavailable,      // out of memory
	"53300": contract.ReasonUnavailable,      // too many connections
	"22021": contract.ReasonInvalidArgument,  // character not in repertoire: U+0000 in a text
	"22P05": contract.ReasonInvalidArgument,  // untranslatable character: the same in JSON
}

var details = map[string]string{
	contract.ReasonAborted:          "somebody else changed the same data at the same moment; try again",
	contract.ReasonUnavailable:      "the data cannot be reached at the moment; try again",
	contract.ReasonDeadlineExceeded: "the data could not be read or written in time",
	contract.ReasonInvalidArgument:  "a text holds a character that cannot be stored: U+0000",
}

// Refusal gives the refusal that stands for an infrastructure failure of the database, or for a text that it cannot hold; nil for everything else.
// Violated constraints, wrong SQL and missing permissions are the repository's to handle. What it gives does not say whether a COMMIT took place.
func Refusal(err error) *contract.Refusal {
	reason := reasonFor(err)
	if reason == "" {
		return nil
	}
	refusal := contract.Refuse(reason, details[reason])
	if reason == contract.ReasonAborted || reason == contract.ReasonUnavailable {
		refusal.RetryAfter = retryAfter
	}
	return refusal
}

func reasonFor(err error) string {
	var said *pgconn.PgError
	var connecting *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &said):
		if strings.HasPrefix(said.Code, "08") {
			return contract.ReasonUnavailable
		}
		return byState[said.Code]
	case errors.Is(err, context.DeadlineExceeded):
		return contract.ReasonDeadlineExceeded
	case errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &connecting), errors.As(err, &network), errors.Is(err, net.ErrClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, puddle.ErrClosedPool),
		strings.Contains(err.Error(), "conn closed"):
		return contract.ReasonUnavailable
	default:
		return ""
	}
}
