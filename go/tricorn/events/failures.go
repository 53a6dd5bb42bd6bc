package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tricorn/contract"
	"tricorn/data"
	"tricorn/telemetry"
)

var log = telemetry.Logger("tricorn.events")

// tooLong is the error of handlers that did not end in time, in the reference's words.
type tooLong struct{}

func (tooLong) Error() string { return "TimeoutError: " }

// notNow comes before any handler ran: it is nobody's fault.
type notNow struct{ why error }

func (n *notNow) Error() string { return n.why.Error() }

// refusalOf is the refusal that an error is, or that stands for a failure of the database; nil for everything else.
func refusalOf(err error) *contract.Refusal {
	var refusal *contract.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return data.Refusal(err)
}

// describe is what an error says, as text that PostgreSQL and protobuf take: else a dead letter could not be written, and all would wait for it.
func describe(err error) string {
	said := err.Error()
	if refusal := refusalOf(err); refusal != nil {
		said = refusal.Reason + ": " + refusal.Detail
	}
	return strings.ToValidUTF8(strings.ReplaceAll(said, "\x00", "\uFFFD"), "?")
}

// guarded makes a panic an error of the event that was being handled.
func guarded(ctx context.Context, handle func() error) (err error) {
	defer func() {
		if said := recover(); said != nil {
			err = fmt.Errorf("panicked: %v", said)
			log.ErrorContext(ctx, "event handler failed", "exception", err.Error(), "stack", telemetry.Stack())
		}
	}()
	return handle()
}
