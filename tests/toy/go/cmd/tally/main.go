// Command tally is the toy's native part.
package main

import (
	"context"
	"os"
	"path/filepath"

	"tricorn/host"

	tallyv1 "toy/native/gen/toy/tally/v1"
	"toy/native/tally"
)

// groupless is a file of the home: while it is there, a part that starts handles no events.
const groupless = "groupless"

func main() {
	host.Main(host.Options{Name: "go", Register: func(ctx context.Context, h *host.Host) error {
		pool, err := h.Database(ctx, "tally")
		if err != nil {
			return err
		}
		tallyv1.RegisterTallyServiceServer(h, tally.NewServer(pool))
		if _, err := os.Stat(filepath.Join(h.Home, groupless)); err != nil {
			h.Subscribe(tally.Notes(pool))
		}
		return nil
	}})
}
