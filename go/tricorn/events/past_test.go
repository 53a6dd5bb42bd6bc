package events

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const late = time.Minute

var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

func saw(p *past, at time.Time, positions ...int64) (fresh []int64) {
	for _, each := range positions {
		if p.add(each, at) {
			fresh = append(fresh, each)
		}
	}
	p.forget(at)
	return fresh
}

func TestWhatWasSeenIsNotAskedForAgain(t *testing.T) {
	p := newPast(late)
	p.low = 10

	fresh := saw(p, noon, 11, 12, 13, 12)
	after, between := p.unseen()

	assert.Equal(t, []int64{11, 12, 13}, fresh)
	assert.Equal(t, int64(13), after)
	assert.Empty(t, between)
}

func TestAHoleIsAskedForUntilItIsFilledOrNoTransactionCanFillIt(t *testing.T) {
	p := newPast(late)
	saw(p, noon, 1, 4)

	_, open := p.unseen()
	fresh := saw(p, noon.Add(time.Second), 2)
	_, left := p.unseen()
	saw(p, noon.Add(late+time.Second))
	after, none := p.unseen()

	assert.Equal(t, []int64{2, 3}, open)
	assert.Equal(t, []int64{2}, fresh)
	assert.Equal(t, []int64{3}, left)
	assert.Equal(t, int64(4), after)
	assert.Empty(t, none)
}

func TestWithTooManyHolesAllIsReadAgainForAsLongAsTheyMayBeFilled(t *testing.T) {
	p := newPast(late)
	saw(p, noon, 1, 2+2*mostHoles)

	saw(p, noon.Add(late-time.Second), 1, 2+2*mostHoles)
	crowded, none := p.unseen()
	fresh := saw(p, noon.Add(late+time.Second), 1, 5, 2+2*mostHoles) // committed in its last moment
	calm, _ := p.unseen()

	assert.Zero(t, crowded)
	assert.Empty(t, none)
	assert.Equal(t, []int64{5}, fresh)
	assert.Equal(t, int64(2+2*mostHoles), calm)
}
