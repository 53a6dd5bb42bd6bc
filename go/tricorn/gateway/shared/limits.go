package shared

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"tricorn/contract"
	"tricorn/gateway/exchange"
	"tricorn/gateway/limits"
)

// The same arithmetic as limits.Memory, in microseconds of the server's clock; a microsecond is lost to rounding.
var take = redis.NewScript(`
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tolerance = interval * burst
-- None is further ahead, unless the clock was: it may have been set back since.
local arrival = math.min(tonumber(redis.call('GET', KEYS[1]) or now), now + tolerance)
local next = math.max(arrival, now) + interval
local excess = next - now - tolerance
if excess > 1 then
  return {0, 0, math.ceil(next - interval - now), math.ceil(excess)}
end
redis.call('SET', KEYS[1], string.format('%.3f', next), 'PX', math.ceil((next - now) / 1000) + 1)
return {1, math.floor((tolerance - (next - now) + 1) / interval), math.ceil(next - now), 0}
`)

// Limits keeps the numbers in Redis. While it is away a class that is closed is refused; of the others each gateway
// counts its own.
type Limits struct {
	redis *Redis
	alone limits.Store
}

// NewLimits counts in Redis, and in alone while that is away.
func NewLimits(redis *Redis, alone limits.Store) *Limits { return &Limits{redis, alone} }

// Take implements limits.Store.
func (l *Limits) Take(ctx context.Context, key string, rate limits.Rate) (limits.Verdict, error) {
	if !l.redis.resting() {
		verdict, err := l.ask(ctx, key, rate)
		if l.redis.note(ctx, "limits", err) {
			return verdict, nil
		}
	}
	if rate.Closed {
		return limits.Verdict{}, contract.Refuse(
			contract.ReasonUnavailable, "requests cannot be counted at the moment").After(time.Second)
	}
	return l.alone.Take(ctx, key, rate)
}

// TakeCaller implements limits.Store.
func (l *Limits) TakeCaller(ctx context.Context, class string, user *exchange.Caller, rate limits.Rate) (limits.Verdict, error) {
	return l.Take(ctx, limits.Key(class, user.Identity.UserID), rate)
}

func (l *Limits) ask(ctx context.Context, key string, rate limits.Rate) (limits.Verdict, error) {
	burst := rate.Burst
	if burst == 0 {
		burst = rate.Limit
	}
	interval := float64(rate.Period.Microseconds()) / float64(rate.Limit)
	said, err := take.Run(
		ctx, l.redis.client, []string{l.redis.prefix + "limit:" + key}, interval, burst).Int64Slice()
	if err != nil {
		return limits.Verdict{}, fmt.Errorf("count a request in redis: %w", err)
	}
	if len(said) != 4 {
		return limits.Verdict{}, errors.New("count a request in redis: the script gave another form of answer")
	}
	return limits.Verdict{
		Allowed: said[0] == 1, Limit: rate.Limit, Remaining: int(said[1]),
		Reset:      time.Duration(said[2]) * time.Microsecond,
		RetryAfter: time.Duration(said[3]) * time.Microsecond,
	}, nil
}
