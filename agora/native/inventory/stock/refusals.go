package stock

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	agorav1 "agora/native/gen/agora/v1"
	"tricorn/contract"
)

var (
	reasonOutOfStock         = contract.ReasonName(agorav1.Reason_REASON_OUT_OF_STOCK)
	reasonInvalidState       = contract.ReasonName(agorav1.Reason_REASON_INVALID_STATE)
	reasonReservationExpired = contract.ReasonName(agorav1.Reason_REASON_RESERVATION_EXPIRED)
)

// Action is what somebody wants to become of a reservation.
type Action string

// What may be done to a held reservation.
const (
	Confirm Action = "confirm"
	Release Action = "release"
	Prolong Action = "prolong"
)

// Refusal is OUT_OF_STOCK, with what is left of the product.
func (s Shortage) Refusal() *contract.Refusal {
	product, requested, available := s.Product.String(), int64(s.Requested), s.Available
	return &contract.Refusal{
		Reason: reasonOutOfStock,
		Detail: fmt.Sprintf("%d of product %s were asked for and %d are available.", requested, product, available),
		Metadata: map[string]string{
			"product_id": product,
			"requested":  strconv.FormatInt(requested, 10),
			"available":  strconv.FormatInt(available, 10),
		},
	}
}

// EachOnce refuses with INVALID_ARGUMENT when a product stands in two lines.
func EachOnce(lines []Line) error {
	seen := make(map[uuid.UUID]struct{}, len(lines))
	for _, line := range lines {
		seen[line.Product] = struct{}{}
	}
	if len(seen) == len(lines) {
		return nil
	}
	broken := contract.Violation{Field: "lines", Rule: "lines.unique", Message: "each product at most once"}
	return &contract.Refusal{
		Reason:     contract.ReasonInvalidArgument,
		Detail:     broken.Field + ": " + broken.Message,
		Violations: []contract.Violation{broken},
	}
}

// Settled is the answer to an action that found its reservation no longer held: the reservation itself where the action's
// aim is reached already, so that repeating is harmless; else RESERVATION_EXPIRED, INVALID_STATE, or ABORTED when it is
// held after all, so that asking again will do.
func Settled(action Action, reservation Reservation) (Reservation, error) {
	state := reservation.State
	switch {
	case action == Confirm && state == Confirmed, action == Release && (state == Released || state == Expired):
		return reservation, nil
	case state == Held:
		return Reservation{}, contract.Refuse(contract.ReasonAborted, "The reservation changed in the same moment; ask again.")
	case state == Expired:
		detail := "The reservation ended at " + isoformat(reservation.ExpireTime) + "."
		return Reservation{}, contract.Refuse(reasonReservationExpired, detail)
	}
	return Reservation{}, &contract.Refusal{
		Reason:   reasonInvalidState,
		Detail:   fmt.Sprintf("The reservation is %s: %s is not possible.", strings.ToLower(string(state)), action),
		Metadata: map[string]string{"state": string(state)},
	}
}

// SameReservation is the reservation that an earlier call with the key made, in whatever order its lines come now; when it
// was made for other lines, IDEMPOTENCY_KEY_REUSED.
func SameReservation(earlier Reservation, lines []Line) (Reservation, error) {
	if !SameLines(earlier.Lines(), lines) {
		return Reservation{}, KeyReused()
	}
	return earlier, nil
}

// KeyReused says that a key stood for another request.
func KeyReused() error {
	return contract.Refuse(contract.ReasonIdempotencyKeyReused, "The key was used before with another request.")
}

// NoReservation says that there is none with that id, as the caller wrote it.
func NoReservation(id string) error {
	return contract.Refuse(contract.ReasonNotFound, "There is no reservation "+id+".")
}

// NoWarehouse says that a delivery has nowhere to go.
func NoWarehouse(warehouse *uuid.UUID) error {
	which := "at all"
	if warehouse != nil {
		which = warehouse.String()
	}
	return contract.Refuse(contract.ReasonNotFound, "There is no warehouse "+which+".")
}

// isoformat writes a moment as the reference implementation does: microseconds only where there are some.
func isoformat(moment time.Time) string {
	layout := "2006-01-02T15:04:05.000000-07:00"
	if moment.Nanosecond()/int(time.Microsecond) == 0 {
		layout = "2006-01-02T15:04:05-07:00"
	}
	return moment.UTC().Format(layout)
}
