package cache

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"
)

// Second is a cache that gateways share. It may be away: then it has nothing and keeps nothing.
type Second interface {
	// Get is an answer, and how long it is still good for.
	Get(ctx context.Context, key string) (*Answer, time.Duration, bool)
	// Put keeps an answer for a time.
	Put(ctx context.Context, key string, answer *Answer, left time.Duration)
}

// sharedKey is a key by which all gateways know an answer. The parts are written with their lengths, so that none runs
// into the next.
func (c *Answers) sharedKey(key Key, generation int64) string {
	digest := sha256.New()
	for _, part := range []string{key.Method, key.User, key.Roles, key.Request} {
		digest.Write(binary.AppendUvarint(nil, uint64(len(part))))
		digest.Write([]byte(part))
	}
	sum := digest.Sum(nil)
	return "answer:" + strconv.FormatInt(generation, 10) + ":" + base64.RawURLEncoding.EncodeToString(sum)
}
