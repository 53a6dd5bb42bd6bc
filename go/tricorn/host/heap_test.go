package host

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestASmallHeapGrowsToTheFloorAMiddlingOneByASpareAndALargeOneByGosOwnRule(t *testing.T) {
	for live, percent := range map[uint64]int{
		0: 800, 1 << 20: 800, 4 << 20: 700, 8 << 20: 300, 32 << 20: 300, 64 << 20: 150, 1 << 30: 100,
	} {
		assert.Equal(t, percent, percentFor(live), live)
	}
}
