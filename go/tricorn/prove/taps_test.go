package prove_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"tricorn/contract"
	"tricorn/internal/toy"
	"tricorn/prove"
	"tricorn/telemetry"
	tricornv1 "tricorn/v1"
	"tricorn/wire"
)

const (
	say     = toy.Service + "/Say"
	keep    = toy.Service + "/Keep"
	longest = 20 * time.Second
	all     = wire.All
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is a process with the reference, which notes the copies that it is handed.
type receiver struct {
	tricornv1.UnimplementedTapsServiceServer
	address string
	asked   chan struct{}
	taken   chan *tricornv1.TakeCallsRequest
	busy    atomic.Bool
	// patience is how long the last caller would have waited.
	patience atomic.Int64
}

func (r *receiver) TakeCalls(ctx context.Context, said *tricornv1.TakeCallsRequest) (*tricornv1.TakeCallsResponse, error) {
	if ends, ok := ctx.Deadline(); ok {
		r.patience.Store(int64(time.Until(ends)))
	}
	if r.busy.Load() {
		r.asked <- struct{}{}
		return nil, contract.Refuse(contract.ReasonUnavailable, "not now")
	}
	r.taken <- proto.CloneOf(said)
	return &tricornv1.TakeCallsResponse{}, nil
}

func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case said := <-from:
		return said
	case <-time.After(longest):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// calls gives so many copies, and what was said to be missing meanwhile.
func (r *receiver) calls(t *testing.T, number int) (calls []*tricornv1.CopiedCall, missing []*tricornv1.MissingCalls) {
	t.Helper()
	for len(calls) < number {
		said := next(t, r.taken)
		assert.Equal(t, "edge", said.GetProcess())
		calls, missing = append(calls, said.GetCalls()...), append(missing, said.GetMissing()...)
	}
	return calls, missing
}

func receive(t *testing.T) *receiver {
	t.Helper()
	made := &receiver{
		address: "unix:" + filepath.Join(t.TempDir(), "s"),
		asked:   make(chan struct{}, 100), taken: make(chan *tricornv1.TakeCallsRequest, 100),
	}
	service := wire.NewService(wire.Reference, telemetry.NewStats())
	answer := func(_ context.Context, request *dynamicpb.Message) (proto.Message, error) {
		if name := toy.Text(request, "name"); name != "nobody" {
			return toy.Answer("hello " + name), nil
		}
		return nil, contract.Refuse(contract.ReasonNotFound, "there is nobody").With("name", "nobody")
	}
	service.RegisterService(&toy.Desc, &toy.Server{Say: answer, Keep: answer})
	tricornv1.RegisterTapsServiceServer(service, made)
	require.NoError(t, service.Err())
	listener, _, err := wire.Listen(made.address)
	require.NoError(t, err)
	server := wire.NewServer(service)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), longest)
		defer cancel()
		server.Stop(ctx)
		require.NoError(t, <-done)
	})
	return made
}

// caller is a process called edge whose calls are looked at.
type caller struct {
	home      string
	client    *wire.Client
	directory *wire.Directory
	taps      *prove.Taps
	bindings  *wire.Bindings
}

func calling(t *testing.T, reference string) *caller {
	t.Helper()
	asked := telemetry.NewStats()
	made := &caller{home: t.TempDir()}
	made.directory = wire.NewDirectory(wire.NewService("go", telemetry.NewStats()), asked)
	made.client = wire.NewClient(made.directory, asked, 0)
	made.taps = prove.NewTaps(made.home, "edge", made.client, made.directory)
	made.bind(t, "{}", reference)
	t.Cleanup(func() { require.NoError(t, made.directory.Close()) })
	return made
}

// handing has copies handed on from now on.
func (c *caller) handing(t *testing.T) *caller {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.taps.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

func (c *caller) bind(t *testing.T, bindings, reference string) {
	t.Helper()
	parsed, err := wire.ParseBindings([]byte(`{"version": 1, "generation": 9, "bindings": ` + bindings + `}`))
	require.NoError(t, err)
	c.bindings = parsed
	c.directory.Update(parsed, wire.Addresses{toy.Service: {wire.Reference: {reference}}})
	c.taps.Follow(parsed)
}

// shadow has calls compared; empty methods are all.
func (c *caller) shadow(t *testing.T, receiver *receiver, sample int, methods string) {
	t.Helper()
	c.bind(t, fmt.Sprintf(`{%q: {"shares": {}, "generation": 7, "shadow": {"implementation": "rust", "sample": %d, "methods": [%s]}}}`,
		toy.Service, sample, methods), receiver.address)
}

type order map[string]any

func ordered(id string, sample int, methods ...string) order {
	return order{
		"id": id, "contract": toy.Service, "methods": append([]string{}, methods...), "sample": sample,
		"until": float64(time.Now().Add(time.Hour).Unix()), "most_bytes": 1000,
	}
}

func (c *caller) record(t *testing.T, orders ...order) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"version": 1, "recordings": append([]order{}, orders...)})
	require.NoError(t, err)
	folder := filepath.Join(c.home, "prove")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	scratch := filepath.Join(folder, "orders.new")
	require.NoError(t, os.WriteFile(scratch, text, 0o600))
	require.NoError(t, os.Rename(scratch, filepath.Join(folder, "orders.json")))
	c.taps.Follow(c.bindings)
}

func (c *caller) ask(t *testing.T, method, name string, call wire.Call) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	_, err := c.client.Call(wire.WithCall(ctx, call), policy(t, method), toy.Request(name, "", 0))
	return err
}

func policy(t *testing.T, method string) *contract.Policy {
	t.Helper()
	found, err := contract.MethodPolicy(method)
	require.NoError(t, err)
	return found
}

func (c *caller) say(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, c.ask(t, say, name, wire.Call{}))
}

func TestACallOfASampleIsHandedToTheProcessOfTheReferenceAsItsCallerSawIt(t *testing.T) {
	receiver := receive(t)
	process := calling(t, receiver.address).handing(t)
	process.shadow(t, receiver, all, "")
	process.record(t, ordered("r1", all))
	user := wire.Call{
		Identity: &wire.Identity{UserID: "u7", SessionID: "s7", Roles: []string{"staff"}}, Metadata: map[string]string{"locale": "de"},
	}

	require.NoError(t, process.ask(t, say, "ada", user))
	require.Error(t, process.ask(t, say, "nobody", wire.Call{}))

	calls, missing := receiver.calls(t, 2)
	assert.Empty(t, missing)
	first, second := calls[0], calls[1]
	request, answer := toy.Request("", "", 0), toy.Empty()
	require.NoError(t, proto.Unmarshal(first.GetRequest(), request))
	require.NoError(t, proto.Unmarshal(first.GetAnswer(), answer))
	assert.Equal(t, []string{say, "ada", "hello ada", "python"},
		[]string{first.GetMethod(), toy.Text(request, "name"), toy.Text(answer, "text"), first.GetImplementation()})
	assert.Equal(t, []string{"u7", "s7", "staff", "de"}, []string{first.GetIdentity().GetUserId(),
		first.GetIdentity().GetSessionId(), strings.Join(first.GetIdentity().GetRoles(), ","), first.GetMetadata()["locale"]})
	assert.Equal(t, []string{"r1"}, first.GetRecordings())
	assert.Equal(t, "rust", first.GetCompare().GetImplementation())
	assert.EqualValues(t, 7, first.GetCompare().GetGeneration())
	assert.Positive(t, first.GetDuration().AsDuration())
	assert.Positive(t, first.GetCopying().AsDuration())
	assert.WithinDuration(t, time.Now(), first.GetStartTime().AsTime(), longest)
	assert.Nil(t, second.GetIdentity())
	assert.True(t, proto.Equal(
		contract.Refuse(contract.ReasonNotFound, "there is nobody").With("name", "nobody").GRPCStatus().Proto(), second.GetStatus()))
}

func TestOnlyWhatIsAskedForIsCopied(t *testing.T) {
	receiver := receive(t)
	process := calling(t, receiver.address).handing(t)
	over := ordered("over", all)
	over["until"] = float64(time.Now().Add(-time.Second).Unix())

	process.say(t, "before")
	process.record(t, ordered("none", 0), ordered("keep", all, "Keep"), over)
	process.say(t, "unasked")
	process.record(t, ordered("all", all))
	require.NoError(t, process.ask(t, say, "a copy", wire.Call{Shadow: true}))
	process.shadow(t, receiver, all, `"Keep"`) // may have effects
	require.NoError(t, process.ask(t, keep, "kept", wire.Call{}))
	process.record(t)
	process.say(t, "after")
	process.shadow(t, receiver, 0, "")
	process.say(t, "none")
	process.shadow(t, receiver, all, `"Say"`)
	process.say(t, "last")

	calls, missing := receiver.calls(t, 2)
	assert.Empty(t, missing)
	assert.Equal(t, []string{keep, say}, []string{calls[0].GetMethod(), calls[1].GetMethod()})
	assert.Equal(t, []string{"all"}, calls[0].GetRecordings())
	assert.Nil(t, calls[0].GetCompare())
	assert.Empty(t, calls[1].GetRecordings())
}

func TestARecordingThatNobodyEndsEndsByItself(t *testing.T) {
	receiver := receive(t)
	process := calling(t, receiver.address).handing(t)
	soon := ordered("soon", all)
	ends := time.Now().Add(300 * time.Millisecond)
	soon["until"] = float64(ends.UnixMicro()) / 1e6
	process.record(t, soon, ordered("later", all, "Keep"))

	for time.Now().Before(ends) {
		process.taps.Follow(process.bindings)
	}
	process.taps.Follow(process.bindings)
	process.say(t, "late")
	require.NoError(t, process.ask(t, keep, "kept", wire.Call{}))

	calls, _ := receiver.calls(t, 1)
	assert.Equal(t, keep, calls[0].GetMethod())
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	receiver := receive(t)
	process := calling(t, receiver.address)
	process.shadow(t, receiver, all, "")
	process.record(t, ordered("r1", all))
	large := toy.Request("ada", strings.Repeat("k", wire.MaxMessageBytes-32*1024), 0)

	_, err := process.client.Call(context.Background(), policy(t, say), large)
	require.NoError(t, err)
	for range 2007 {
		process.say(t, "ada")
	}
	process.handing(t)

	calls, missing := receiver.calls(t, 2000)
	assert.Len(t, calls, 2000)
	require.Len(t, missing, 2)
	for _, each := range missing {
		assert.Equal(t, say, each.GetMethod())
		assert.EqualValues(t, []int64{7, 1}, []int64{each.GetDropped(), each.GetTooLarge()})
	}
	assert.ElementsMatch(t, []string{"r1", "rust"},
		[]string{missing[0].GetRecording() + missing[0].GetComparedWith(), missing[1].GetRecording() + missing[1].GetComparedWith()})
}

func TestWhatIsNotTakenIsCounted(t *testing.T) {
	receiver := receive(t)
	process := calling(t, receiver.address)
	process.shadow(t, receiver, all, "")
	process.record(t, ordered("r1", all))
	receiver.busy.Store(true)
	for range 5 {
		process.say(t, "lost")
	}

	process.handing(t)
	next(t, receiver.asked)
	receiver.busy.Store(false)

	said := next(t, receiver.taken)
	lost := map[string]int64{}
	for _, each := range said.GetMissing() {
		lost[each.GetRecording()+each.GetComparedWith()] = each.GetDropped()
	}
	assert.Empty(t, said.GetCalls())
	assert.Equal(t, map[string]int64{"r1": 5, "rust": 5}, lost)
}

func TestAProcessThatEndsWaitsForNobodyLong(t *testing.T) {
	receiver := receive(t)
	process := calling(t, receiver.address)
	process.record(t, ordered("r1", all))
	process.say(t, "last")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	process.taps.Run(ctx)

	calls, _ := receiver.calls(t, 1)
	assert.Len(t, calls, 1)
	patience := time.Duration(receiver.patience.Load())
	assert.Positive(t, patience)
	assert.Less(t, patience, 2*time.Second)
}
