package limits_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/contract"
	"tricorn/gateway/limits"
	tricornv1 "tricorn/v1"
)

var hourly = limits.Rate{Limit: 3, Period: time.Hour}

func asked(t *testing.T, server *limits.Server, caller string) *tricornv1.CheckRateLimitResponse {
	t.Helper()
	answer, err := server.CheckRateLimit(t.Context(), &tricornv1.CheckRateLimitRequest{Rate: "read", Caller: caller})
	require.NoError(t, err)
	return answer
}

func TestCallsBehindTheGatewayAreCountedWithThoseInFrontOfIt(t *testing.T) {
	numbers := limits.NewMemory(func() time.Duration { return 0 }, 10)
	server := limits.NewServer(numbers, map[string]limits.Rate{"read": hourly})
	numbers.TakeNow("read:u:ann", hourly)
	numbers.TakeNow("read:a:2001:db8::", hourly)

	second, third, refused := asked(t, server, "u:ann"), asked(t, server, "u:ann"), asked(t, server, "u:ann")
	household, other := asked(t, server, "a:2001:db8::7"), asked(t, server, "a task of ann's")

	assert.Equal(t, []int32{1, 0, 0, 1, 2}, []int32{
		second.GetRemaining(), third.GetRemaining(), refused.GetRemaining(), household.GetRemaining(), other.GetRemaining(),
	})
	assert.Equal(t, []bool{true, true, false}, []bool{second.GetAllowed(), third.GetAllowed(), refused.GetAllowed()})
	assert.EqualValues(t, 3, refused.GetLimit())
	assert.Zero(t, third.GetRetryAfter().AsDuration())
	assert.InDelta(t, 20*time.Minute, refused.GetRetryAfter().AsDuration(), float64(time.Second))
	assert.InDelta(t, time.Hour, refused.GetResetAfter().AsDuration(), float64(time.Second))
}

func TestAClassThatIsNotDeclaredIsRefusedByItsField(t *testing.T) {
	server := limits.NewServer(limits.NewMemory(nil, 10), map[string]limits.Rate{"read": hourly})

	_, err := server.CheckRateLimit(t.Context(), &tricornv1.CheckRateLimitRequest{Rate: "sing", Caller: "u:ann"})

	var refusal *contract.Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, contract.ReasonInvalidArgument, refusal.Reason)
	assert.Equal(t, "rate", refusal.Violations[0].Field)
}
