package shed_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"tricorn/gateway/shed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsTooMuchIsRefusedUntilSomethingLeaves(t *testing.T) {
	shedder := shed.New(shed.Limits{Calls: 1, Streams: 1})
	first, fits := shedder.Enter(false)

	second, secondFits := shedder.Enter(false)
	second.Leave()
	essential, essentialFits := shedder.Enter(true)
	essential.Leave()
	first.Leave()
	third, thirdFits := shedder.Enter(false)
	third.Leave()

	assert.Equal(t, []bool{true, false, true, true}, []bool{fits, secondFits, essentialFits, thirdFits})
	assert.EqualValues(t, 1, shedder.Refused())
}

func TestStreamsLeaveTheirPlaceToCallsAndHaveALimitOfTheirOwn(t *testing.T) {
	shedder := shed.New(shed.Limits{Calls: 1, Streams: 1})
	stream, _ := shedder.Enter(false)
	stays := stream.Stay()
	other, fits := shedder.Enter(false)

	otherStays := other.Stay()
	other.Leave()
	stream.Leave()
	again, _ := shedder.Enter(false)
	againStays := again.Stay()
	again.Leave()

	assert.Equal(t, []bool{true, true, false, true}, []bool{stays, fits, otherStays, againStays})
	assert.EqualValues(t, 1, shedder.Refused())
}

func TestWhoIsTurnedAwayIsToldWhenToComeBack(t *testing.T) {
	busy := shed.Busy()

	assert.Equal(t, http.StatusServiceUnavailable, busy.Status)
	assert.Equal(t, "1", busy.Header.Get("Retry-After"))
}

func TestWithoutAShedderEverythingIsTaken(t *testing.T) {
	var none *shed.Shedder

	place, fits := none.Enter(false)

	assert.True(t, fits && place.Stay())
	place.Leave()
}
