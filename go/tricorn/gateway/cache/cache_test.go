package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tricorn/contract"
	"tricorn/gateway/cache"
	"tricorn/gateway/exchange"
	"tricorn/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 30 * time.Second

// bench is a cache on a clock that stands still until it is moved, with a backend whose answers are numbered.
type bench struct {
	*cache.Answers
	t          *testing.T
	mu         sync.Mutex
	now        time.Duration
	generation int64
	asked      int
}

func newBench(t *testing.T, change func(*cache.Options)) *bench {
	t.Helper()
	made := &bench{t: t, now: time.Hour}
	options := cache.Options{Bytes: 1 << 20, LongestTTL: ttl, Clock: made.clock, Generation: made.current}
	if change != nil {
		change(&options)
	}
	answers, err := cache.New(options)
	require.NoError(t, err)
	made.Answers = answers
	t.Cleanup(answers.Close)
	return made
}

func (b *bench) clock() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) current() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.generation
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now += d
}

func (b *bench) ask(context.Context) (*cache.Answer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	return &cache.Answer{Body: fmt.Append(nil, b.asked)}, nil
}

func (b *bench) get(key cache.Key, user string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	found, err := b.Get(ctx, key, ttl, user, b.ask)
	require.NoError(b.t, err)
	return string(found.Body)
}

var shared = cache.Key{Method: "m", Request: "r"}

func TestAnAnswerIsGivenAgainWhileItIsGood(t *testing.T) {
	b := newBench(t, nil)

	first := b.get(shared, "")
	b.pass(ttl / 2)
	again, err := b.Get(t.Context(), shared, ttl, "", b.ask)
	require.NoError(t, err)
	b.pass(ttl)

	assert.Equal(t, []string{"1", "1", "2"}, []string{first, string(again.Body), b.get(shared, "")})
	assert.True(t, again.Again)
	assert.Equal(t, ttl/2, again.Age)
}

func TestRequestsAndUsersAndMethodsAreToldApart(t *testing.T) {
	b := newBench(t, nil)

	got := []string{
		b.get(cache.Key{Method: "m", User: "ann", Request: "r"}, "ann"),
		b.get(cache.Key{Method: "m", User: "bob", Request: "r"}, "bob"),
		b.get(cache.Key{Method: "n", User: "ann", Request: "r"}, "ann"),
		b.get(cache.Key{Method: "m", User: "ann", Request: "q"}, "ann"),
		b.get(cache.Key{Method: "m", User: "ann", Request: "r"}, "ann"),
	}

	assert.Equal(t, []string{"1", "2", "3", "4", "1"}, got)
}

func TestWhoeverWritesReadsItBackAtOnceAndOthersKeepTheAnswer(t *testing.T) {
	b := newBench(t, nil)
	b.get(shared, "ann")

	b.pass(time.Second)
	b.Wrote("ann")
	b.pass(time.Second)

	got := []string{b.get(shared, "bob"), b.get(shared, "ann"), b.get(shared, "ann"), b.get(shared, "bob")}
	assert.Equal(t, []string{"1", "2", "2", "2"}, got)
}

func TestAQuestionThatBeganBeforeAWriteIsNotTheWritersAnswer(t *testing.T) {
	b := newBench(t, nil)
	begun, goOn := make(chan struct{}), make(chan struct{})
	early := make(chan string, 1)
	go func() {
		found, _ := b.Get(t.Context(), shared, ttl, "bob", func(context.Context) (*cache.Answer, error) {
			close(begun)
			<-goOn
			return &cache.Answer{Body: []byte("before")}, nil
		})
		early <- string(found.Body)
	}()
	<-begun
	b.pass(time.Second)
	b.Wrote("ann")
	b.pass(time.Second)

	late := b.get(shared, "ann")
	close(goOn)

	assert.Equal(t, []string{"1", "before", "1"}, []string{late, <-early, b.get(shared, "bob")})
}

func TestManyWhoAskAtOnceCauseOneQuestion(t *testing.T) {
	b := newBench(t, nil)
	begun, goOn := make(chan struct{}), make(chan struct{})
	ask := func(ctx context.Context) (*cache.Answer, error) {
		close(begun)
		<-goOn
		return b.ask(ctx)
	}
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			_, err := b.Get(t.Context(), shared, ttl, "", ask)
			assert.NoError(t, err)
		})
	}
	<-begun
	close(goOn)
	waiting.Wait()

	assert.Equal(t, 1, b.asked)
}

func TestOneWhoLeavesDoesNotEndTheQuestionOfOthers(t *testing.T) {
	b := newBench(t, nil)
	leaving, leave := context.WithCancel(t.Context())
	begun, goOn := make(chan struct{}), make(chan struct{})
	left := make(chan error, 1)
	go func() {
		_, err := b.Get(leaving, shared, ttl, "", func(ctx context.Context) (*cache.Answer, error) {
			close(begun)
			<-goOn
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return b.ask(ctx)
		})
		left <- err
	}()
	<-begun
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	close(goOn)

	assert.Equal(t, "1", b.get(shared, ""))
	assert.Equal(t, 1, b.asked)
}

func TestAFailureAndAPanicAreNobodysToKeep(t *testing.T) {
	b := newBench(t, nil)
	gone := errors.New("gone")

	_, failed := b.Get(t.Context(), shared, ttl, "", func(context.Context) (*cache.Answer, error) { return nil, gone })
	_, panicked := b.Get(t.Context(), shared, ttl, "", func(context.Context) (*cache.Answer, error) { panic("oh") })

	require.ErrorIs(t, failed, gone)
	require.ErrorContains(t, panicked, "oh")
	assert.Equal(t, "1", b.get(shared, ""))
}

func TestAnAnswerIsRenewedInTheLastFifthOfItsTimeWhileItIsStillGiven(t *testing.T) {
	b := newBench(t, nil)
	renewals := make(chan bool, 1)
	ask := func(ctx context.Context) (*cache.Answer, error) {
		defer func() { renewals <- cache.Renewing(ctx) }()
		return b.ask(ctx)
	}
	_, err := b.Get(t.Context(), shared, ttl, "", ask)
	require.NoError(t, err)
	assert.False(t, <-renewals)
	b.pass(ttl * 4 / 5)
	assert.Equal(t, "1", b.get(shared, ""))
	assert.Equal(t, 1, b.asked)
	b.pass(time.Second)

	found, err := b.Get(t.Context(), shared, ttl, "", ask)

	require.NoError(t, err)
	assert.True(t, <-renewals)
	assert.Equal(t, "1", string(found.Body))
	assert.Eventually(t, func() bool { return b.get(shared, "") == "2" }, 5*time.Second, time.Millisecond)
	assert.Equal(t, 2, b.asked)
}

func TestAnAnswerEndsWithTheBindingsThatMadeIt(t *testing.T) {
	b := newBench(t, nil)
	b.get(shared, "")

	b.mu.Lock()
	b.generation++
	b.mu.Unlock()

	assert.Equal(t, "2", b.get(shared, ""))
}

func TestForgettingAMethodEndsItsAnswersAndThoseOnTheirWay(t *testing.T) {
	b := newBench(t, nil)
	other := cache.Key{Method: "n", Request: "r"}
	b.get(shared, "")
	b.get(other, "")

	b.Forget("m")
	assert.Equal(t, []string{"3", "2"}, []string{b.get(shared, ""), b.get(other, "")})

	b.Clear()
	assert.Equal(t, []string{"4", "5"}, []string{b.get(shared, ""), b.get(other, "")})
}

func TestMemoryIsBoundedAndALargeAnswerIsNotKept(t *testing.T) {
	b := newBench(t, func(options *cache.Options) { options.Bytes = 16 << 10 })
	large := func(context.Context) (*cache.Answer, error) { return &cache.Answer{Body: make([]byte, 8<<10)}, nil }

	for range 2 {
		found, err := b.Get(t.Context(), cache.Key{Method: "large"}, ttl, "", large)
		require.NoError(t, err)
		assert.False(t, found.Again)
	}
	for number := range 1000 {
		b.get(cache.Key{Method: "m", Request: fmt.Sprint(number)}, "")
	}
	asked := b.asked
	for number := range 1000 {
		b.get(cache.Key{Method: "m", Request: fmt.Sprint(number)}, "")
	}

	assert.Greater(t, b.asked-asked, 900)
}

// shelf is a Second that remembers what it was given.
type shelf struct {
	mu   sync.Mutex
	kept map[string]*cache.Answer
	left time.Duration
}

func (s *shelf) Get(_ context.Context, key string) (*cache.Answer, time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, ok := s.kept[key]
	return answer, s.left, ok
}

func (s *shelf) Put(_ context.Context, key string, answer *cache.Answer, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[key], s.left = answer, left
}

func TestWhatAnotherGatewayWasToldIsGoodHereUnlessTheCallerWroteOrSomethingChanged(t *testing.T) {
	second := &shelf{kept: make(map[string]*cache.Answer)}
	share := func(options *cache.Options) { options.Second = second }
	one, other := newBench(t, share), newBench(t, share)
	other.asked = 100
	one.get(shared, "")

	assert.Equal(t, "1", other.get(shared, "ann"))

	other.Clear()
	assert.Equal(t, "101", other.get(shared, "ann"))

	third := newBench(t, share)
	third.asked = 200
	third.Wrote("ann")
	third.pass(time.Second)
	assert.Equal(t, "201", third.get(shared, "ann"))
}

func TestWhatAnotherGatewayWasToldIsForTheSameUserRequestAndBindingsAlone(t *testing.T) {
	second := &shelf{kept: make(map[string]*cache.Answer)}
	made := 0
	read := func(key cache.Key, generation int64) string {
		b := newBench(t, func(options *cache.Options) { options.Second = second })
		b.generation, b.asked = generation, 100*made
		made++
		return b.get(key, key.User)
	}
	mine := cache.Key{Method: "m", User: "ann", Roles: "seller", Request: "r"}
	changed := func(change func(*cache.Key)) cache.Key {
		key := mine
		change(&key)
		return key
	}

	got := []string{
		read(mine, 1), read(mine, 1), read(mine, 2),
		read(changed(func(key *cache.Key) { key.User = "bob" }), 1),
		read(changed(func(key *cache.Key) { key.User = "" }), 1),
		read(changed(func(key *cache.Key) { key.Roles = "" }), 1),
		read(changed(func(key *cache.Key) { key.Method = "n" }), 1),
		read(changed(func(key *cache.Key) { key.Request = "q" }), 1),
		read(changed(func(key *cache.Key) { key.User, key.Roles = "anns", "eller" }), 1),
	}

	assert.Equal(t, []string{"1", "1", "201", "301", "401", "501", "601", "701", "801"}, got)
}

// held is a Second that gives nothing before it may.
type held struct {
	*shelf
	asked, goOn chan struct{}
}

func (h *held) Get(ctx context.Context, key string) (*cache.Answer, time.Duration, bool) {
	close(h.asked)
	<-h.goOn
	return h.shelf.Get(ctx, key)
}

func TestWhoeverWroteDoesNotShareWhatAnotherGatewayWasToldBefore(t *testing.T) {
	second := &shelf{kept: make(map[string]*cache.Answer)}
	newBench(t, func(options *cache.Options) { options.Second = second }).get(shared, "")
	slow := &held{second, make(chan struct{}), make(chan struct{})}
	b := newBench(t, func(options *cache.Options) { options.Second = slow })
	b.asked = 100
	b.Wrote("ann")
	b.pass(time.Second)
	others := make(chan string, 1)
	go func() {
		found, _ := b.Get(t.Context(), shared, ttl, "bob", b.ask)
		others <- string(found.Body)
	}()
	<-slow.asked

	mine := b.get(shared, "ann")
	close(slow.goOn)

	assert.Equal(t, []string{"101", "1"}, []string{mine, <-others})
}

func TestTheAgeOfASharedAnswerCountsFromItsFirstQuestion(t *testing.T) {
	second := &shelf{kept: make(map[string]*cache.Answer)}
	share := func(options *cache.Options) { options.Second = second }
	newBench(t, share).get(shared, "")
	second.left = 10 * time.Second
	late := newBench(t, share)
	late.asked = 100

	late.get(shared, "")
	clear(second.kept)
	late.pass(11 * time.Second)

	assert.Equal(t, "101", late.get(shared, ""))
}

func TestAnAnswerVariesByUserAndRolesAndASilentOneHasNoAge(t *testing.T) {
	b := newBench(t, func(options *cache.Options) { options.Silent = map[string]time.Duration{"me": ttl} })
	fetch := func(method string, vary bool, user string, roles ...string) (string, time.Duration) {
		x := &exchange.Exchange{
			Policy:   &contract.Policy{FullName: method, Cache: &contract.CachePolicy{TTL: ttl, VaryUser: vary}},
			Identity: &wire.Identity{UserID: user, Roles: roles},
		}
		answer, age, err := b.Fetch(t.Context(), x, "r", b.ask)
		require.NoError(t, err)
		return string(answer.Body), age
	}

	ann, fresh := fetch("me", true, "ann")
	bob, _ := fetch("me", true, "bob")
	seller, _ := fetch("me", true, "ann", "seller")
	again, silent := fetch("me", true, "ann")
	shared, _ := fetch("list", false, "ann")
	given, age := fetch("list", false, "bob")

	assert.Equal(t, []string{"1", "2", "3", "1", "4", "4"}, []string{ann, bob, seller, again, shared, given})
	assert.Equal(t, []bool{true, true, false}, []bool{fresh < 0, silent < 0, age < 0})
}
