package disk

import (
	"os"
	"slices"
	"testing"
)

func TestTheFolderIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()

	taken, err := Synced(folder, 3)

	if err != nil || len(taken) != 3 || !slices.IsSorted(taken) {
		t.Errorf("%v: %v", err, taken)
	}
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
