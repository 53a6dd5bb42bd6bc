package events_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tricorn/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// shop is the database of a context that publishes its events.
type shop struct {
	t    *testing.T
	ctx  context.Context
	pool *pgxpool.Pool
}

func open(t *testing.T) *shop {
	t.Helper()
	address := os.Getenv("TRICORN_DATABASE_SHOP")
	if address == "" {
		t.Skip("needs TRICORN_DATABASE_SHOP: tests/events runs it with one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	pool, err := pgxpool.New(ctx, address)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return &shop{t, ctx, pool}
}

type executor interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

func (s *shop) publish(on executor, value string) {
	s.t.Helper()
	data, err := proto.Marshal(wrapperspb.String(value))
	require.NoError(s.t, err)
	_, err = on.Exec(s.ctx, `INSERT INTO outbox (id, type, subject, sequence, partition, data, traceparent, causation)
		VALUES ($1, 'google.protobuf.StringValue', $2, 1, 0, $3, '', 'why')`,
		uuid.New(), uuid.NewString(), data)
	require.NoError(s.t, err)
}

func (s *shop) begin() pgx.Tx {
	s.t.Helper()
	transaction, err := s.pool.Begin(s.ctx)
	require.NoError(s.t, err)
	return transaction
}

// heard is a process that follows the shop's events.
type heard struct {
	*events.Tail
	mu     sync.Mutex
	values []string
	gaps   int
	news   chan string
}

// follow returns once nothing more will be missed.
func (s *shop) follow(times events.Times) *heard {
	s.t.Helper()
	broadcasts := events.New(s.pool, times)
	made := &heard{Tail: broadcasts.Of("shop"), news: make(chan string, 100)}
	events.On(made.Tail, func(_ context.Context, event *wrapperspb.StringValue, meta events.Meta) error {
		made.mu.Lock()
		defer made.mu.Unlock()
		if event.GetValue() == "defect" {
			return errors.New("a defect")
		}
		assert.Equal(s.t, []string{"shop", "why"}, []string{meta.Source, meta.Causation})
		made.values = append(made.values, event.GetValue())
		made.news <- event.GetValue()
		return nil
	})
	made.OnGap(func(context.Context) error {
		made.mu.Lock()
		defer made.mu.Unlock()
		made.gaps++
		return nil
	})
	ctx, stop := context.WithCancel(s.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		broadcasts.Run(ctx)
	}()
	s.t.Cleanup(func() { stop(); <-ended })
	require.NoError(s.t, broadcasts.Started(s.ctx))
	return made
}

func (h *heard) so(t *testing.T, s *shop) (values []string, gaps int) {
	t.Helper()
	require.NoError(t, h.Looked(s.ctx))
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string{}, h.values...), h.gaps
}

// listening returns once somebody is woken by notifications: only then may one be sent.
func (s *shop) listening() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		var listening bool
		err := s.pool.QueryRow(s.ctx,
			"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN %tricorn_events_shop%')").Scan(&listening)
		return err == nil && listening
	}, patience, 5*time.Millisecond)
}

func TestEveryProcessHearsWhatIsPublishedAfterItsStart(t *testing.T) {
	s := open(t)
	s.publish(s.pool, "before")
	first, second := s.follow(events.DefaultTimes), s.follow(events.DefaultTimes)

	s.publish(s.pool, "a")
	s.publish(s.pool, "b")

	for _, each := range []*heard{first, second} {
		values, gaps := each.so(t, s)
		assert.Equal(t, []string{"a", "b"}, values)
		assert.Equal(t, 1, gaps)
	}
}

func TestANotificationIsHeardWithoutWaitingForThePoll(t *testing.T) {
	s := open(t)
	times := events.DefaultTimes
	times.Poll = time.Hour
	h := s.follow(times)
	s.listening()

	s.publish(s.pool, "a")
	_, err := s.pool.Exec(s.ctx, "SELECT pg_notify('tricorn_events_shop', 'token')")
	require.NoError(t, err)

	select {
	case value := <-h.news:
		assert.Equal(t, "a", value)
	case <-s.ctx.Done():
		t.Fatal("nothing was heard")
	}
}

func TestAnEventThatCommitsBehindLaterOnesIsHeardToo(t *testing.T) {
	s := open(t)
	h := s.follow(events.DefaultTimes)
	slow := s.begin()
	s.publish(slow, "late")
	s.publish(s.pool, "early")
	values, _ := h.so(t, s)
	assert.Equal(t, []string{"early"}, values)

	require.NoError(t, slow.Commit(s.ctx))

	values, _ = h.so(t, s)
	assert.Equal(t, []string{"early", "late"}, values)
}

func TestWhoDidNotLookForLongIsToldToFlush(t *testing.T) {
	s := open(t)
	times := events.DefaultTimes
	times.Gap = 0
	h := s.follow(times)

	_, before := h.so(t, s)
	_, after := h.so(t, s)

	assert.Greater(t, after, before)
}

func TestAHandlerThatFailedIsToldToFlushAndTheOthersGoOn(t *testing.T) {
	s := open(t)
	h := s.follow(events.DefaultTimes)

	s.publish(s.pool, "defect")
	s.publish(s.pool, "a")
	values, _ := h.so(t, s)
	_, gaps := h.so(t, s)

	assert.Equal(t, []string{"a"}, values)
	assert.Equal(t, 2, gaps)
}
