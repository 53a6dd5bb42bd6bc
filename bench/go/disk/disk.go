// Package disk says how long this disk takes to keep something.
package disk

import (
	"fmt"
	"os"
	"slices"
	"time"
)

const block = 8 << 10

// Synced writes blocks of 8 KiB to a file in the folder, one after the other, each made durable; how long each took, the shortest first.
func Synced(folder string, count int) (_ []time.Duration, err error) {
	file, err := os.CreateTemp(folder, "fsync-*")
	if err != nil {
		return nil, fmt.Errorf("making a file in %s: %w", folder, err)
	}
	defer func() {
		_ = file.Close() // it was only written to be timed
		_ = os.Remove(file.Name())
	}()
	content := make([]byte, block)
	taken := make([]time.Duration, 0, count)
	for range count {
		began := time.Now()
		if _, err := file.WriteAt(content, 0); err != nil {
			return nil, fmt.Errorf("writing: %w", err)
		}
		if err := file.Sync(); err != nil {
			return nil, fmt.Errorf("syncing: %w", err)
		}
		taken = append(taken, time.Since(began))
	}
	slices.Sort(taken)
	return taken, nil
}
