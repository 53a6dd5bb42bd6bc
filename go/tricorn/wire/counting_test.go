package wire_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/wire"
)

// heard notes what it is told of calls.
type heard struct{ said []string }

func (h *heard) Count(method, implementation string, generation int64, took time.Duration, failed bool) {
	h.said = append(h.said, fmt.Sprint(method, " ", implementation, " ", generation, " took:", took > 0, " failed:", failed))
}

func (h *heard) Missed(method, implementation string, generation int64) {
	h.said = append(h.said, fmt.Sprint(method, " missed ", implementation, " ", generation))
}

const wholeSince7 = `{"toy.echo.v1.EchoService": {"shares": {"rust": 10000}, "generation": 7}}`

func TestCallsAreCountedWhileAnotherImplementationIsBound(t *testing.T) {
	process, _, candidate := both(t, "")
	counter := &heard{}
	process.client.CountBy(counter)
	addresses := process.directory.Addresses()

	process.say(t, "before")
	process.bind(t, wholeSince7, addresses)
	process.say(t, "bound")
	copied := wire.WithCall(within(t), wire.Call{Method: say, Deadline: time.Now().Add(longest), Shadow: true})
	_, err := process.client.Call(copied, policy(t, say), toy.Request("", "", 0))
	require.NoError(t, err)
	candidate.stop()
	process.say(t, "gone")

	assert.Equal(t, []string{
		say + " rust 7 took:true failed:false",
		say + " missed rust 7",
		say + " python 7 took:true failed:false",
	}, counter.said)
}

func TestCallsAreCountedWhileTheyAreShadowed(t *testing.T) {
	process, _, _ := both(t, `{"toy.echo.v1.EchoService": {"shares": {}, "generation": 7, "shadow": {"implementation": "rust", "sample": 1000}}}`)
	counter := &heard{}
	process.client.CountBy(counter)

	process.say(t, "usual")

	assert.Equal(t, []string{say + " python 7 took:true failed:false"}, counter.said)
}

func TestACallThatNobodyAnswersIsAnErrorOfWhoWasBound(t *testing.T) {
	process := caller(t, nil, wholeSince7, at(native, nowhere))
	counter := &heard{}
	process.client.CountBy(counter)

	_, err := process.client.Call(within(t), policy(t, say), toy.Request("", "", 0))

	assert.Equal(t, contract.ReasonUnavailable, refusal(t, err).Reason)
	assert.Equal(t, []string{say + " rust 7 took:true failed:true"}, counter.said)
}
