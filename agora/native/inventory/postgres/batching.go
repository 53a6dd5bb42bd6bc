package postgres

import (
	"time"

	"agora/native/inventory/batch"
)

// Batching is how claims are put together, given how many connections there are at most: half of them, or fewer, are for
// reservations. The measurements behind the numbers are in docs/decisions.
func Batching(connections int32, observer batch.Observer) batch.Options {
	return batch.Options{
		Largest:  128,
		Waiting:  4096,
		Workers:  max(1, min(2, int(connections)/4)),
		Waiters:  max(1, min(4, int(connections)/3)),
		Linger:   10 * time.Millisecond,
		Longest:  5 * time.Second,
		Attempts: 8,
		Observer: observer,
	}
}

// Confirms is how confirmations are put together, given how claims are.
func Confirms(options batch.Options) batch.Options {
	options.Workers, options.Waiters, options.Observer = 1, max(1, options.Waiters/2), nil
	return options
}
