// Package shared is what several gateways keep together, in Redis: the numbers of limits, and answers. A gateway does
// without while Redis is away.
package shared

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"tricorn/telemetry"
)

const (
	// Redis is asked between a client and its answer, so it has little time.
	dialTime = 250 * time.Millisecond
	callTime = 100 * time.Millisecond
	// restTime is how long nobody asks after a failure, so that requests do not each wait for another.
	restTime    = 500 * time.Millisecond
	connections = 16
)

// The client writes to standard error by itself what its callers are told as errors.
func init() { redis.SetLogger(quiet{}) }

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// Redis is a server that gateways share.
type Redis struct {
	client *redis.Client
	prefix string
	began  time.Time
	rest   atomic.Int64
	log    *slog.Logger
}

// Open makes ready to ask the server at url (redis://host:port/0); it need not be there yet. prefix keeps
// applications apart.
func Open(url, prefix string) (*Redis, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL is no address of a Redis server: %w", err)
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = dialTime, callTime, callTime
	options.PoolTimeout = callTime
	options.PoolSize = connections
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1 // what counts must not be done twice
	options.DialerRetries = 1
	return &Redis{
		client: redis.NewClient(options), prefix: prefix + ":", began: time.Now(),
		log: telemetry.Logger("tricorn.gateway.shared"),
	}, nil
}

// Close ends all connections.
func (r *Redis) Close() error { return r.client.Close() }

// Ping reports whether the server answers.
func (r *Redis) Ping(ctx context.Context) error {
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ask redis whether it is there: %w", err)
	}
	return nil
}

// resting reports whether the server failed a moment ago.
func (r *Redis) resting() bool { return time.Since(r.began) < time.Duration(r.rest.Load()) }

// note keeps what a call came to, and reports whether it went well.
func (r *Redis) note(ctx context.Context, what string, err error) bool {
	if err == nil {
		return true
	}
	if ctx.Err() == nil {
		r.rest.Store(int64(time.Since(r.began) + restTime))
		r.log.WarnContext(ctx, "redis did not answer, going on without for a moment", "what", what, "error", err)
	}
	return false
}
