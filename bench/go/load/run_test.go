package load

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop answers when it is told to, and remembers what it was asked.
type shop struct {
	asked  chan string
	answer func(ctx context.Context, request string) Answer
	closed atomic.Int32
}

func (s *shop) Call(ctx context.Context, request []byte) Answer {
	if s.asked != nil {
		s.asked <- string(request)
	}
	return s.answer(ctx, string(request))
}

func (s *shop) Close() { s.closed.Add(1) }

func good(context.Context, string) Answer { return Answer{Status: 200, OK: true} }

func TestAClosedLoopAsksUntilItsTimeIsOver(t *testing.T) {
	t.Parallel()
	there := &shop{answer: good}

	report := Run(t.Context(), NewPlan("read", []byte("a")), []Caller{there, there}, Options{Duration: 20 * time.Millisecond})

	if report.Requests == 0 || report.Failures != 0 || report.Statuses[200] != report.Requests {
		t.Errorf("%+v", report.Figures)
	}
	if there.closed.Load() != 2 {
		t.Errorf("%d of 2 callers were closed", there.closed.Load())
	}
}

func TestAnOpenLoopAsksAtItsRateHoweverLongAnAnswerTakes(t *testing.T) {
	t.Parallel()
	const wanted = 20
	asked := make(chan string, wanted)
	// No answer comes before everything was asked: whoever waits for answers would never get there.
	there := &shop{asked: asked, answer: func(ctx context.Context, _ string) Answer {
		for len(asked) < wanted && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return Answer{Status: 200, OK: ctx.Err() == nil}
	}}
	callers := make([]Caller, wanted)
	for number := range callers {
		callers[number] = there
	}

	options := Options{Duration: 200 * time.Millisecond, Rate: 100, Patience: 30 * time.Second}
	report := Run(t.Context(), NewPlan("read", []byte("a")), callers, options)

	if report.Requests != wanted || report.Failures != 0 {
		t.Errorf("%+v", report.Figures)
	}
}

func TestALatencyCountsFromTheMomentAtWhichTheRequestWasDue(t *testing.T) {
	t.Parallel()
	const pause = 50 * time.Millisecond
	var calls atomic.Int32
	// The first answer keeps the only caller busy, so that all others are late although they are answered at once.
	there := &shop{answer: func(context.Context, string) Answer {
		if calls.Add(1) == 1 {
			time.Sleep(pause)
		}
		return Answer{Status: 200, OK: true}
	}}

	options := Options{Duration: 10 * time.Millisecond, Rate: 1000, Patience: 30 * time.Second}
	report := Run(t.Context(), NewPlan("read", []byte("a")), []Caller{there}, options)

	if least := float64((pause - options.Duration).Milliseconds()); report.P50 < least {
		t.Errorf("half of the requests took %v ms or less, and all but one waited %v ms", report.P50, least)
	}
}

func TestWhatIsNotSentInTimeIsAFailure(t *testing.T) {
	t.Parallel()
	there := &shop{answer: func(ctx context.Context, _ string) Answer {
		<-ctx.Done()
		return Answer{}
	}}

	options := Options{Duration: 10 * time.Millisecond, Rate: 1000}
	report := Run(t.Context(), NewPlan("read", []byte("a")), []Caller{there}, options)

	if report.Requests != report.Failures || report.PerSecond != 0 || report.Statuses[0] == 0 {
		t.Errorf("%+v", report.Figures)
	}
}

func TestOnceAsksForEverythingOneTime(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 5)
	there := &shop{asked: asked, answer: good}
	plan := NewPlan("read", []byte("a"), []byte("b"), []byte("c"), []byte("d"), []byte("e"))

	Run(t.Context(), plan, []Caller{there, there}, Options{Duration: 30 * time.Second, Once: true})

	close(asked)
	seen := map[string]int{}
	for each := range asked {
		seen[each]++
	}
	if len(seen) != 5 {
		t.Errorf("asked for %v", seen)
	}
}

func TestClassesAreToldApart(t *testing.T) {
	t.Parallel()
	there := &shop{answer: func(_ context.Context, request string) Answer {
		return Answer{Status: 200, OK: request == "good"}
	}}
	plan := &Plan{Classes: []Class{
		{Name: "good", Weight: 3, Requests: [][]byte{[]byte("good")}},
		{Name: "bad", Weight: 1, Requests: [][]byte{[]byte("bad")}},
	}}
	if err := plan.prepare(); err != nil {
		t.Fatal(err)
	}

	report := Run(t.Context(), plan, []Caller{there}, Options{Duration: 20 * time.Millisecond})

	good, bad := report.Classes[0], report.Classes[1]
	if good.Failures != 0 || bad.Failures != bad.Requests || report.Failures != bad.Requests {
		t.Errorf("%+v", report)
	}
	if good.Requests <= bad.Requests {
		t.Errorf("%d requests with weight 3, %d with weight 1", good.Requests, bad.Requests)
	}
}
