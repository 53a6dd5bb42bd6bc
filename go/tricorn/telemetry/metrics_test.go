package telemetry_test

import (
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tricorn/telemetry"
)

func TestFiguresAreThoseOfAllMethodsOfAService(t *testing.T) {
	stats := telemetry.NewStats()
	for i := 1; i <= 100; i++ {
		stats.Observe([]string{"a.B/C", "a.B/D"}[i%2], "go", time.Duration(i)*time.Millisecond, false)
	}
	stats.Observe("a.B/C", "go", 10*time.Millisecond, true)
	stats.Observe("a.B/C", "rust", time.Second, false)

	figures := stats.Snapshot()

	require.Len(t, figures, 2)
	assert.Equal(t, []int64{101, 1}, []int64{figures[0].Calls, figures[0].Errors})
	assert.InDelta(t, 50.1, figures[0].Mean, 0.01)
	assert.True(t, figures[0].P99 >= 99 && figures[0].P99 <= 112.5, figures[0].P99)
	assert.Equal(t, "rust", figures[1].Implementation)
	assert.EqualValues(t, 1, stats.Calls("a.B/C", "rust"))
	assert.Zero(t, stats.Calls("a.B/E", "rust"))
}

func TestAnEstimateIsAtMostAnEighthTooHigh(t *testing.T) {
	for _, took := range []time.Duration{time.Microsecond, 123 * time.Microsecond, 500 * time.Millisecond, time.Second, 200 * time.Second} {
		stats := telemetry.NewStats()
		stats.Observe("a.B/C", "go", took, false)

		estimate := stats.Snapshot()[0].P99 / 1000

		assert.True(t, took.Seconds() <= estimate && estimate <= took.Seconds()*1.126, "%v %v", took, estimate)
	}
}

func TestTimesBeyondTheBucketsAreCountedToo(t *testing.T) {
	stats := telemetry.NewStats()

	for _, took := range []time.Duration{0, -time.Second, time.Nanosecond, time.Hour} {
		stats.Observe("a.B/C", "go", took, false)
	}

	assert.EqualValues(t, 4, stats.Snapshot()[0].Calls)
}

func TestCountsStandUpToManyAtOnce(t *testing.T) {
	stats := telemetry.NewStats()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				stats.Observe("a.B/C", "go", time.Millisecond, false)
				stats.FellBack("a.B/C", "go", "late")
			}
		})
	}
	group.Wait()

	assert.EqualValues(t, 4000, stats.Snapshot()[0].Calls)
	assert.EqualValues(t, 4000, stats.Fallbacks()[telemetry.Fallback{Method: "a.B/C", Implementation: "go", Why: "late"}])
}

func TestPrometheusSeesWhatTheStatisticsSay(t *testing.T) {
	stats, asked := telemetry.NewStats(), telemetry.NewStats()
	stats.Observe("a.B/C", "go", 300*time.Millisecond, true)
	asked.Observe("d.E/F", "rust", time.Millisecond, false)
	asked.FellBack("d.E/F", "rust", "unreachable")

	registry := telemetry.NewRegistry(stats, asked)

	for name, expected := range map[string]int{
		"tricorn_calls_total": 1, "tricorn_call_errors_total": 1, "tricorn_call_seconds": 1, "tricorn_asked_calls_total": 1,
		"tricorn_fallback_total": 1, "go_goroutines": 1,
	} {
		count, err := testutil.GatherAndCount(registry, name)
		require.NoError(t, err)
		assert.Equal(t, expected, count, name)
	}
}
