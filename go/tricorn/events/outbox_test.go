package events_test

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tricorn/events"
	"tricorn/telemetry"
	"tricorn/wire"
)

// whole is what the outbox has of an aggregate, in the order of sequence numbers.
func (s *shop) whole(subject string) (values []string, sequence []int64) {
	s.t.Helper()
	rows, err := s.pool.Query(s.ctx, "SELECT data, sequence FROM outbox WHERE subject = $1 ORDER BY sequence", subject)
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var data []byte
		var number int64
		require.NoError(s.t, rows.Scan(&data, &number))
		values, sequence = append(values, string(data[2:])), append(sequence, number)
	}
	require.NoError(s.t, rows.Err())
	return values, sequence
}

func TestAnEventExistsWhenItsTransactionCommitsAndSaysWhatItCameOf(t *testing.T) {
	s := open(t)
	subject := "go/" + uuid.NewString()
	ctx := telemetry.Continue(s.ctx, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx = wire.WithCall(ctx, wire.Call{Causation: "the key"})
	given, kept := s.begin(), s.begin()

	require.NoError(t, events.Publish(ctx, given, subject, wrapperspb.String("given up")))
	require.NoError(t, given.Rollback(s.ctx))
	require.NoError(t, events.Publish(ctx, kept, subject, wrapperspb.String("a")))
	require.NoError(t, events.Publish(ctx, kept, subject, wrapperspb.String("b")))
	require.NoError(t, kept.Commit(s.ctx))

	values, sequence := s.whole(subject)
	assert.Equal(t, []string{"a", "b"}, values)
	assert.Equal(t, []int64{1, 2}, sequence)
	var kind, traceparent, causation string
	var partition, pending int
	require.NoError(t, s.pool.QueryRow(s.ctx, `
		SELECT type, traceparent, causation, outbox.partition, count(outbox_pending.position)
		FROM outbox LEFT JOIN outbox_pending USING (position) WHERE subject = $1 GROUP BY 1, 2, 3, 4`, subject,
	).Scan(&kind, &traceparent, &causation, &partition, &pending))
	assert.Equal(t, []string{"google.protobuf.StringValue", "the key"}, []string{kind, causation})
	assert.Contains(t, traceparent, "0af7651916cd43dd8448eb211c80319c")
	assert.Equal(t, []int{events.Partition(subject), 2}, []int{partition, pending})
}

func TestManyPublishersAtOnceGiveOneAggregateASequenceWithoutGaps(t *testing.T) {
	s := open(t)
	subject := "go/" + uuid.NewString()
	var publishers sync.WaitGroup
	for range 30 {
		publishers.Go(func() { assert.NoError(t, events.Publish(s.ctx, s.pool, subject, wrapperspb.String("x"))) })
	}
	publishers.Wait()

	_, sequence := s.whole(subject)

	for at, number := range sequence {
		assert.Equal(t, int64(at+1), number)
	}
	assert.Len(t, sequence, 30)
}

func TestAWakeIsHeardWithoutWaitingForThePoll(t *testing.T) {
	s := open(t)
	times := events.DefaultTimes
	times.Poll = time.Hour
	h := s.follow(times)
	s.listening()
	ctx := wire.WithCall(s.ctx, wire.Call{Causation: "why"})

	require.NoError(t, events.Publish(ctx, s.pool, "go/"+uuid.NewString(), wrapperspb.String("woken")))
	require.NoError(t, events.Wake(s.ctx, s.pool, "shop"))

	select {
	case value := <-h.news:
		assert.Equal(t, "woken", value)
	case <-s.ctx.Done():
		t.Fatal("nothing was heard")
	}
}

func TestAnEventWithoutASubjectIsRefused(t *testing.T) {
	err := events.Publish(context.Background(), nil, "", wrapperspb.String("x"))

	assert.ErrorContains(t, err, "google.protobuf.StringValue: an event needs a subject")
}

func TestThePartitionOfASubjectIsTheOneOfTheSharedVectors(t *testing.T) {
	var vectors []struct {
		Subject   string
		Partition int
	}
	text, err := os.ReadFile("../../../src/tricorn/events/partition_vectors.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &vectors))

	for _, each := range vectors {
		assert.Equal(t, each.Partition, events.Partition(each.Subject), each.Subject)
	}
	assert.NotEmpty(t, vectors)
}
