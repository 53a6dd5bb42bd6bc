// Command tally is the toy's native part.
package main

import (
	"context"

	"tricorn/host"

	tallyv1 "toy/native/gen/toy/tally/v1"
	"toy/native/tally"
)

func main() {
	host.Main(host.Options{Name: "go", Register: func(ctx context.Context, h *host.Host) error {
		pool, err := h.Database(ctx, "tally")
		if err != nil {
			return err
		}
		tallyv1.RegisterTallyServiceServer(h, tally.NewServer(pool))
		return nil
	}})
}
