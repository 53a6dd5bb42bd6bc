package batch_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"agora/native/inventory/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// job needs what the letters of its name say; its answer is its name.
type job string

func needs(j job) []byte {
	letters := []byte(j)
	slices.Sort(letters)
	return slices.Compact(letters)
}

// store runs batches as its tests say; what is not said is settled.
type store struct {
	mutex sync.Mutex
	ran   []run
	begun chan run
	// Batches wait here until the test lets them go on; nil: they do not wait.
	gate   chan struct{}
	decide func(run) ([]batch.Outcome[job], error)
}

type run struct {
	manner batch.Manner
	jobs   []job
}

func (s *store) Run(ctx context.Context, work []batch.Call[job], manner batch.Manner) ([]batch.Outcome[job], error) {
	this := run{manner: manner}
	for _, call := range work {
		this.jobs = append(this.jobs, call.Work)
	}
	s.mutex.Lock()
	s.ran = append(s.ran, this)
	s.mutex.Unlock()
	s.begun <- this
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.decide != nil {
		if outcomes, err := s.decide(this); outcomes != nil || err != nil {
			return outcomes, err
		}
	}
	return settled(this.jobs), nil
}

func settled(jobs []job) []batch.Outcome[job] {
	outcomes := make([]batch.Outcome[job], len(jobs))
	for at, each := range jobs {
		outcomes[at].Answer = each
	}
	return outcomes
}

// bench is a batcher, its store, and the calls that a test makes.
type bench struct {
	*batch.Batcher[byte, job, job]
	t     *testing.T
	store *store
	watch *watch
}

type watch struct {
	mutex   sync.Mutex
	changed *sync.Cond
	waiting int
}

func (w *watch) Ran(batch.Manner, int, time.Duration, time.Duration) {}

func (w *watch) Waiting(number int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.waiting = number
	w.changed.Broadcast()
}

// await returns when so many calls wait.
func (w *watch) await(number int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for w.waiting != number {
		w.changed.Wait()
	}
}

func open(t *testing.T, options batch.Options, store *store) *bench {
	t.Helper()
	store.begun = make(chan run, 1000)
	seen := &watch{}
	seen.changed = sync.NewCond(&seen.mutex)
	options.Longest, options.Observer = time.Minute, seen
	if options.Attempts == 0 {
		options.Attempts = 3
	}
	if options.Waiters == 0 {
		options.Waiters = 1
	}
	b := &bench{batch.New[byte](store, needs, options), t, store, seen}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, b.Close(ctx))
	})
	return b
}

type answer struct {
	job job
	err error
}

// call makes calls one after the other, and returns once all of them wait or run.
func (b *bench) call(ctx context.Context, waitingThen int, jobs ...job) chan answer {
	answers := make(chan answer, len(jobs))
	for at, each := range jobs {
		go func() {
			said, err := b.Do(ctx, each)
			if err == nil && said != each {
				err = errors.New("the answer of another")
			}
			answers <- answer{each, err}
		}()
		b.watch.await(max(0, waitingThen-len(jobs)+at+1))
	}
	return answers
}

func TestWhatArrivesWhileABatchRunsIsTheNextOneTakingTurnsByWhatIsNeeded(t *testing.T) {
	b := open(t, batch.Options{Largest: 4, Waiting: 100, Workers: 1}, &store{gate: make(chan struct{})})
	first := b.call(t.Context(), 0, "z")
	require.Equal(t, run{batch.Eager, []job{"z"}}, <-b.store.begun)
	hot := b.call(t.Context(), 5, "a", "a", "a", "a", "a")
	cold := b.call(t.Context(), 6, "b")

	close(b.store.gate)

	require.Equal(t, run{batch.Eager, []job{"a", "b", "a", "a"}}, <-b.store.begun)
	require.Equal(t, run{batch.Eager, []job{"a", "a"}}, <-b.store.begun)
	require.NoError(t, (<-first).err)
	require.NoError(t, (<-cold).err)
	for range 5 {
		require.NoError(t, (<-hot).err)
	}
}

func TestTwoBatchesRunAtOnceOnlyWhereTheyNeedNothingInCommon(t *testing.T) {
	b := open(t, batch.Options{Largest: 4, Waiting: 100, Workers: 2}, &store{gate: make(chan struct{})})
	b.call(t.Context(), 0, "a")
	<-b.store.begun
	b.call(t.Context(), 1, "a")

	b.call(t.Context(), 1, "b")

	require.Equal(t, run{batch.Eager, []job{"b"}}, <-b.store.begun)
	require.Empty(t, b.store.begun)
	close(b.store.gate)
	require.Equal(t, run{batch.Eager, []job{"a"}}, <-b.store.begun)
}

func TestWhoNeedsSeveralThingsIsNotOvertakenForEver(t *testing.T) {
	b := open(t, batch.Options{Largest: 1, Waiting: 100, Workers: 2}, &store{gate: make(chan struct{})})
	b.call(t.Context(), 0, "a", "b")
	<-b.store.begun
	<-b.store.begun
	b.call(t.Context(), 1, "ab")
	b.call(t.Context(), 3, "b", "b")

	b.store.gate <- struct{}{}
	b.store.gate <- struct{}{}

	require.Equal(t, run{batch.Eager, []job{"ab"}}, <-b.store.begun)
	close(b.store.gate)
}

func TestWhatSomebodyHoldsIsWaitedForByThoseAloneWhoNeedIt(t *testing.T) {
	held := make(chan struct{})
	patient := func(this run) ([]batch.Outcome[job], error) {
		outcomes := settled(this.jobs)
		for at, each := range this.jobs {
			if slices.Contains([]byte(each), 'a') && this.manner != batch.Stubborn {
				outcomes[at].Next = batch.Held
			}
		}
		if this.manner == batch.Stubborn {
			<-held
		}
		return outcomes, nil
	}
	b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 1}, &store{decide: patient})
	stuck := b.call(t.Context(), 0, "a")
	require.Equal(t, run{batch.Eager, []job{"a"}}, <-b.store.begun)
	require.Equal(t, run{batch.Patient, []job{"a"}}, <-b.store.begun)
	require.Equal(t, run{batch.Stubborn, []job{"a"}}, <-b.store.begun)

	behind := b.call(t.Context(), 1, "a")
	free := b.call(t.Context(), 1, "b")

	require.NoError(t, (<-free).err)
	require.Empty(t, stuck)
	close(held)
	require.NoError(t, (<-stuck).err)
	require.NoError(t, (<-behind).err)
}

func TestOneAtFaultIsFoundByHalvesAndFailsAlone(t *testing.T) {
	fault := errors.New("poisoned")
	b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 1}, &store{
		gate: make(chan struct{}),
		decide: func(this run) ([]batch.Outcome[job], error) {
			if slices.Contains(this.jobs, "e") {
				return nil, batch.Divisible(fault)
			}
			return nil, nil
		},
	})
	b.call(t.Context(), 0, "z")
	<-b.store.begun
	all := b.call(t.Context(), 7, "a", "b", "c", "d", "e", "f", "g")

	close(b.store.gate)

	for range 7 {
		said := <-all
		require.Equal(t, said.job == "e", errors.Is(said.err, fault), said.job)
	}
}

func TestAFailureOfTheWholeIsEverybodysAndEndsInOneTry(t *testing.T) {
	down := errors.New("down")
	b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 1}, &store{
		gate: make(chan struct{}),
		decide: func(this run) ([]batch.Outcome[job], error) {
			if len(this.jobs) > 1 {
				return nil, down
			}
			return nil, nil
		},
	})
	b.call(t.Context(), 0, "z")
	<-b.store.begun
	all := b.call(t.Context(), 3, "a", "b", "c")

	close(b.store.gate)

	for range 3 {
		require.ErrorIs(t, (<-all).err, down)
	}
	require.Len(t, b.store.ran, 2)
}

func TestMoreThanMayWaitIsRefusedAtOnce(t *testing.T) {
	b := open(t, batch.Options{Largest: 1, Waiting: 2, Workers: 1}, &store{gate: make(chan struct{})})
	b.call(t.Context(), 0, "a")
	b.call(t.Context(), 2, "a", "b")

	_, err := b.Do(t.Context(), "c")

	require.ErrorIs(t, err, batch.ErrFull)
	close(b.store.gate)
}

func TestWhoseTimeIsOverIsDroppedBeforeTheWorkAndMakesRoom(t *testing.T) {
	b := open(t, batch.Options{Largest: 10, Waiting: 1, Workers: 1}, &store{gate: make(chan struct{})})
	b.call(t.Context(), 0, "a")
	<-b.store.begun
	over, end := context.WithCancelCause(t.Context())
	late := b.call(over, 1, "b")
	cause := errors.New("too late")

	end(cause)

	require.ErrorIs(t, (<-late).err, cause)
	next := b.call(t.Context(), 1, "c")
	close(b.store.gate)
	require.NoError(t, (<-next).err)
	require.Equal(t, run{batch.Eager, []job{"c"}}, <-b.store.begun)
}

func TestWorkIsRunAgainAfterItsWaitButNotForEver(t *testing.T) {
	waits := 0
	b := open(t, batch.Options{Largest: 10, Waiting: 10, Workers: 1}, &store{
		decide: func(run) ([]batch.Outcome[job], error) {
			wait := func(context.Context) error { waits++; return nil }
			return []batch.Outcome[job]{{Next: batch.Again, Wait: wait}}, nil
		},
	})

	_, err := b.Do(t.Context(), "a")

	require.ErrorIs(t, err, batch.ErrUnsettled)
	require.Equal(t, 2, waits)
}

func TestWhoIsOvertakenAfterEveryWaitIsWaitedForInTheEnd(t *testing.T) {
	waits := 0
	b := open(t, batch.Options{Largest: 10, Waiting: 10, Workers: 1, Attempts: 6}, &store{
		decide: func(this run) ([]batch.Outcome[job], error) {
			if this.manner == batch.Stubborn {
				return nil, nil
			}
			wait := func(context.Context) error { waits++; return nil }
			return []batch.Outcome[job]{{Next: batch.Again, Wait: wait}}, nil
		},
	})

	said, err := b.Do(t.Context(), "a")

	require.NoError(t, err)
	require.Equal(t, job("a"), said)
	require.Equal(t, 4, waits)
}

func TestAStoreThatPanicsFailsItsBatchAndNothingElse(t *testing.T) {
	b := open(t, batch.Options{Largest: 10, Waiting: 10, Workers: 1}, &store{
		decide: func(this run) ([]batch.Outcome[job], error) {
			if this.jobs[0] == "a" {
				panic("broken")
			}
			return nil, nil
		},
	})

	_, broken := b.Do(t.Context(), "a")
	_, next := b.Do(t.Context(), "b")

	require.ErrorContains(t, broken, "broken")
	require.NoError(t, next)
}

func TestClosingAnswersWhatWasTakenAndTakesNothingMore(t *testing.T) {
	b := open(t, batch.Options{Largest: 1, Waiting: 10, Workers: 1}, &store{gate: make(chan struct{})})
	b.call(t.Context(), 0, "a")
	<-b.store.begun
	waiting := b.call(t.Context(), 2, "b", "c")
	closed := make(chan error, 1)
	go func() { closed <- b.Close(t.Context()) }()
	require.Eventually(t, func() bool {
		over, end := context.WithCancel(t.Context())
		end()
		_, err := b.Do(over, "d")
		return errors.Is(err, batch.ErrClosed)
	}, time.Minute, time.Millisecond)

	close(b.store.gate)

	require.NoError(t, (<-waiting).err)
	require.NoError(t, (<-waiting).err)
	require.NoError(t, <-closed)
}
