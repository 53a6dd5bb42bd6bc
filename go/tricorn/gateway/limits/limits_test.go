package limits_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/limits"
	"tricorn/wire"
)

func TestABurstPassesAndThenOneForEachInterval(t *testing.T) {
	var now time.Duration
	counted := limits.NewMemory(func() time.Duration { return now }, 10)
	rate := limits.Rate{Limit: 10, Period: 10 * time.Second, Burst: 3}

	var first []limits.Verdict
	for range 4 {
		first = append(first, counted.TakeNow("a", rate))
	}
	now += time.Second
	later := []bool{counted.TakeNow("a", rate).Allowed, counted.TakeNow("a", rate).Allowed}

	assert.Equal(t, []bool{true, true, true, false},
		[]bool{first[0].Allowed, first[1].Allowed, first[2].Allowed, first[3].Allowed})
	assert.Equal(t, []int{2, 1, 0, 0},
		[]int{first[0].Remaining, first[1].Remaining, first[2].Remaining, first[3].Remaining})
	assert.InDelta(t, 1, first[3].RetryAfter.Seconds(), 1e-6)
	assert.Equal(t, []bool{true, false}, later)
}

func TestCallersDoNotShareAndMemoryIsBounded(t *testing.T) {
	counted := limits.NewMemory(func() time.Duration { return 0 }, 2)
	rate := limits.Rate{Limit: 1, Period: 10 * time.Second}

	assert.True(t, counted.TakeNow("a", rate).Allowed)
	assert.True(t, counted.TakeNow("b", rate).Allowed)
	assert.False(t, counted.TakeNow("b", rate).Allowed)
	counted.TakeNow("c", rate)
	assert.Equal(t, 2, counted.Len())
}

func TestNoWindowLetsMoreThroughThanBurstAndRateAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now time.Duration
		counted := limits.NewMemory(func() time.Duration { return now }, 10)
		rate := limits.Rate{
			Limit:  rapid.IntRange(1, 20).Draw(t, "limit"),
			Period: time.Duration(rapid.IntRange(500, 20_000).Draw(t, "period")) * time.Millisecond,
			Burst:  rapid.IntRange(1, 20).Draw(t, "burst"),
		}
		var passed []float64
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 60).Draw(t, "steps") {
			now += time.Duration(step) * time.Millisecond
			if counted.TakeNow("a", rate).Allowed {
				passed = append(passed, now.Seconds())
			}
		}
		for index, start := range passed {
			for count, end := range passed[index:] {
				most := float64(rate.Burst) + (end-start)*float64(rate.Limit)/rate.Period.Seconds() + 1e-6
				if float64(count+1) > most {
					t.Fatalf("%d passed within %g s, at most %g may", count+1, end-start, most)
				}
			}
		}
	})
}

func TestOnlyTrustedProxiesMayNameTheClient(t *testing.T) {
	addresses, err := limits.NewAddresses([]string{"10.0.0.0/8"})
	require.NoError(t, err)
	nobody, err := limits.NewAddresses(nil)
	require.NoError(t, err)

	assert.Equal(t, "198.51.100.1", addresses.Client("198.51.100.1", []string{"203.0.113.9"}))
	assert.Equal(t, "203.0.113.9", addresses.Client("10.0.0.1", []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}))
	assert.Equal(t, "10.0.0.1", addresses.Client("10.0.0.1", []string{"nonsense"}))
	assert.Equal(t, "10.0.0.1", addresses.Client("10.0.0.1", nil))
	assert.Equal(t, "127.0.0.1", nobody.Client("127.0.0.1", []string{"1.1.1.1"}))
}

func TestWhatIsNoNetworkIsNotTrusted(t *testing.T) {
	_, err := limits.NewAddresses([]string{"everyone"})

	assert.ErrorContains(t, err, "everyone")
}

func TestAnIPv6HouseholdIsOneCaller(t *testing.T) {
	assert.Equal(t, limits.Group("2001:db8:1:2:3::4"), limits.Group("2001:db8:1:2:ffff::1"))
	assert.NotEqual(t, limits.Group("2001:db8:1:3::4"), limits.Group("2001:db8:1:2::4"))
	assert.Equal(t, "192.0.2.1", limits.Group("::ffff:192.0.2.1"))
	assert.NotEqual(t, limits.Group("192.0.2.1"), limits.Group("192.0.2.2"))
}

type guarded struct {
	handler http.Handler
	reached int
}

func guard(rates map[string]limits.Rate) *guarded {
	made := &guarded{}
	store := limits.NewMemory(func() time.Duration { return 0 }, 100)
	made.handler = limits.Guard(store, rates)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { made.reached++ }))
	return made
}

func (g *guarded) ask(x *exchange.Exchange) *http.Response {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	answer := httptest.NewRecorder()
	g.handler.ServeHTTP(answer, request.WithContext(exchange.With(request.Context(), x)))
	return answer.Result()
}

func reading(client, user string) *exchange.Exchange {
	x := &exchange.Exchange{Policy: &contract.Policy{Rate: "read"}, Client: client}
	if user != "" {
		x.Identity = &wire.Identity{UserID: user}
	}
	return x
}

func TestBeyondTheLimitIs429WithTheTimeToWait(t *testing.T) {
	door := guard(map[string]limits.Rate{"read": {Limit: 2, Period: time.Minute}})

	var left []string
	for range 2 {
		answer := door.ask(reading("192.0.2.1", ""))
		assert.Equal(t, http.StatusOK, answer.StatusCode)
		left = append(left, answer.Header.Get("RateLimit-Remaining"))
	}
	x := reading("192.0.2.1", "")
	refusal := door.ask(x)

	assert.Equal(t, []string{"1", "0"}, left)
	assert.Equal(t, http.StatusTooManyRequests, refusal.StatusCode)
	assert.Equal(t, "30", refusal.Header.Get("Retry-After"))
	assert.Equal(t, "RATE_LIMITED", x.Code)
	assert.Equal(t, []string{"2", "0"}, []string{refusal.Header.Get("RateLimit-Limit"), refusal.Header.Get("RateLimit-Remaining")})
	assert.Equal(t, 2, door.reached)
}

func TestUsersAreLimitedEachOnTheirOwnAndOthersByAddress(t *testing.T) {
	door := guard(map[string]limits.Rate{"read": {Limit: 1, Period: time.Minute}})

	var got []int
	for _, user := range []string{"ann", "bob", "ann", "", ""} {
		got = append(got, door.ask(reading("192.0.2.1", user)).StatusCode)
	}

	assert.Equal(t, []int{200, 200, 429, 200, 429}, got)
}

func TestARememberedCallerIsCountedWithAllWhoAskAsThem(t *testing.T) {
	store := limits.NewMemory(func() time.Duration { return 0 }, 2)
	rates := map[string]limits.Rate{"read": {Limit: 5, Period: time.Hour}, "write": {Limit: 2, Period: time.Hour}}
	door := &guarded{}
	door.handler = limits.Guard(store, rates)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { door.reached++ }))
	one, other := &exchange.Caller{Identity: wire.Identity{UserID: "ann"}}, &exchange.Caller{Identity: wire.Identity{UserID: "ann"}}
	left := func(caller *exchange.Caller, class string) string {
		x := &exchange.Exchange{Policy: &contract.Policy{Rate: class}, Identity: &wire.Identity{UserID: "ann"}, Caller: caller}
		return door.ask(x).Header.Get("RateLimit-Remaining")
	}

	store.TakeNow("read:u:ann", rates["read"])
	together := []string{left(one, "read"), left(one, "write"), left(other, "read"), left(one, "read"), left(nil, "read"), left(one, "write")}
	refused := door.ask(&exchange.Exchange{Policy: &contract.Policy{Rate: "read"}, Identity: &one.Identity, Caller: one})
	for _, others := range []string{"a", "b"} {
		store.TakeNow(others, rates["read"])
	}

	assert.Equal(t, []string{"3", "1", "2", "1", "0", "0"}, together)
	assert.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
	assert.Equal(t, "4", left(one, "read"), "who was forgotten starts afresh")
	assert.Equal(t, "3", left(one, "read"))
}

func TestPagesAndMethodsWithoutAClassAreNotCounted(t *testing.T) {
	door := guard(nil)

	for number, x := range []*exchange.Exchange{{}, {Policy: &contract.Policy{}}} {
		answer := door.ask(x)
		assert.Equal(t, http.StatusOK, answer.StatusCode, fmt.Sprint(number))
		assert.Empty(t, answer.Header.Get("RateLimit-Limit"))
	}
}
