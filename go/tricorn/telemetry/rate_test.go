package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSoManyTracesASecondAreRecordedAndNoMore(t *testing.T) {
	now := time.Unix(0, 0)
	limited := newRate(2, func() time.Time { return now })
	taken := func() (count int) {
		for range 4 {
			if limited.takes() {
				count++
			}
		}
		return count
	}

	first := taken()
	now = now.Add(500 * time.Millisecond)
	second := taken()
	now = now.Add(time.Minute)
	third := taken()

	assert.Equal(t, []int{2, 1, 2}, []int{first, second, third})
}

func TestOfARateOfNothingNothingIsRecorded(t *testing.T) {
	now := time.Unix(0, 0)
	limited := newRate(0, func() time.Time { return now })
	now = now.Add(time.Minute)

	assert.False(t, limited.takes())
}
