package host

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHalfOfTheProcessorsIsAtLeastOne(t *testing.T) {
	for all, half := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 16: 8} {
		assert.Equal(t, half, halfOf(all), all)
	}
}
