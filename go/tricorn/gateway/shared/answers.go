package shared

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"tricorn/gateway/exchange"
)

const largestAnswer = 256 << 10

// Answers keeps answers in Redis. It implements cache.Second.
type Answers struct {
	redis *Redis
}

// NewAnswers keeps answers in Redis while that is there.
func NewAnswers(redis *Redis) *Answers { return &Answers{redis} }

type stored struct {
	Body        []byte
	ContentType string
	ETag        string
}

// Get is an answer and how long it is good for; false when there is none, or Redis is away.
func (a *Answers) Get(ctx context.Context, key string) (*exchange.Answer, time.Duration, bool) {
	if a.redis.resting() {
		return nil, 0, false
	}
	pipe := a.redis.client.TxPipeline()
	text, left := pipe.Get(ctx, a.redis.prefix+key), pipe.PTTL(ctx, a.redis.prefix+key)
	if _, err := pipe.Exec(ctx); err != nil {
		if !errors.Is(err, redis.Nil) {
			a.redis.note(ctx, "answers", err)
		}
		return nil, 0, false
	}
	var found stored
	if raw, err := text.Bytes(); err != nil || json.Unmarshal(raw, &found) != nil || left.Val() <= 0 {
		return nil, 0, false
	}
	return &exchange.Answer{Body: found.Body, ContentType: found.ContentType, ETag: found.ETag}, left.Val(), true
}

// Put keeps an answer for a time. One that is large stays with each gateway.
func (a *Answers) Put(ctx context.Context, key string, answer *exchange.Answer, left time.Duration) {
	if left < time.Millisecond || len(answer.Body) > largestAnswer || a.redis.resting() {
		return
	}
	text, err := json.Marshal(stored{answer.Body, answer.ContentType, answer.ETag})
	if err == nil {
		err = a.redis.client.Set(ctx, a.redis.prefix+key, text, left).Err()
	}
	a.redis.note(ctx, "answers", err)
}
