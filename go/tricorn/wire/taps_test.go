package wire_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/wire"
)

// onlooker notes what it sees of calls.
type onlooker struct {
	begun, ended []string
	defect       bool
}

func (o *onlooker) Begin(_ *contract.Policy, request proto.Message, call *wire.Call) wire.Finish {
	name := toy.Text(request, "name")
	o.begun = append(o.begun, name+" "+call.Method)
	if o.defect {
		panic("a tap with a defect")
	}
	if name == "unseen" {
		return nil
	}
	return func(answer proto.Message, refusal *contract.Refusal, took time.Duration, implementation string) {
		said := "refused"
		if refusal == nil {
			said = toy.Text(answer, "text")
		}
		if took > 0 {
			o.ended = append(o.ended, name+" "+said+" "+implementation)
		}
		if name == "defect" {
			panic("a tap with a defect")
		}
	}
}

func TestATapSeesHowCallsEndAndWhoAnswered(t *testing.T) {
	process, _, candidate := both(t, "")
	tap := &onlooker{}
	addresses := process.directory.Addresses()

	process.say(t, "before")
	process.client.TapBy(tap)
	process.say(t, "one")
	process.bind(t, wholeSince7, addresses)
	process.say(t, "two")
	process.say(t, "unseen")
	process.say(t, "defect")
	candidate.stop()
	process.say(t, "gone")
	process.bind(t, "", wire.Addresses{})
	_, err := process.client.Call(within(t), policy(t, say), toy.Request("nowhere", "", 0))
	require.Error(t, err)
	process.client.TapBy(nil)
	_, err = process.client.Call(within(t), policy(t, say), toy.Request("after", "", 0))
	require.Error(t, err)

	assert.Equal(t, []string{"one " + say, "two " + say, "unseen " + say, "defect " + say, "gone " + say}, tap.begun)
	assert.Equal(t, []string{"one python python", "two rust rust", "defect rust rust", "gone python python"}, tap.ended)
}

func TestATapThatFailsHarmsNoCall(t *testing.T) {
	process, _, _ := both(t, "")
	tap := &onlooker{defect: true}
	process.client.TapBy(tap)

	assert.Equal(t, "python", process.say(t, "one"))

	assert.Len(t, tap.begun, 1)
	assert.Empty(t, tap.ended)
}

func TestATapHearsNoEndOfACallWhoseCallerWentAway(t *testing.T) {
	asked := make(chan struct{})
	waiting := saying("")
	waiting.Say = func(ctx context.Context, _ *dynamicpb.Message) (proto.Message, error) {
		close(asked)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	process := caller(t, nil, "", at(reference, serve(t, reference, waiting).address))
	tap := &onlooker{}
	process.client.TapBy(tap)
	ctx, leave := context.WithCancel(within(t))
	go func() {
		<-asked
		leave()
	}()

	_, err := process.client.Call(ctx, policy(t, say), toy.Request("one", "", 0))

	assert.Equal(t, contract.ReasonCancelled, refusal(t, err).Reason)
	assert.Len(t, tap.begun, 1)
	assert.Empty(t, tap.ended)
}
