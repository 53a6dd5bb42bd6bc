package batch_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"agora/native/inventory/batch"
)

const usual = 2 * time.Millisecond

// slow is a store whose batches take as long as the usual one, or as the test says.
func slow(took func(run) time.Duration) *store {
	return &store{decide: func(this run) ([]batch.Outcome[job], error) {
		if took == nil {
			time.Sleep(usual)
		} else {
			time.Sleep(took(this))
		}
		return nil, nil
	}}
}

// sizes are those of the batches that ran.
func (s *store) sizes() []int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var sizes []int
	for _, this := range s.ran {
		sizes = append(sizes, len(this.jobs))
	}
	return sizes
}

// ask makes calls at once; the channel says of each when it was answered.
func (b *bench) ask(jobs ...job) chan time.Time {
	answered := make(chan time.Time, len(jobs))
	for _, each := range jobs {
		go func() {
			if _, err := b.Do(b.t.Context(), each); err == nil {
				answered <- time.Now()
			}
		}()
		synctest.Wait()
	}
	return answered
}

// pair has a batch with company run, whose time is then the usual one; it returns when that ends.
func (b *bench) pair() {
	answered := b.ask("a", "a", "a")
	for range 3 {
		<-answered
	}
}

func TestCallersThatAskAgainAreOneBatchAndNotTwoInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slow(nil)
		b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 2, Linger: time.Second}, store)
		ended := make(chan struct{})

		for range 4 {
			go func() {
				for range 5 {
					_, _ = b.Do(t.Context(), "a")
				}
				ended <- struct{}{}
			}()
			synctest.Wait()
		}
		for range 4 {
			<-ended
		}

		require.Equal(t, []int{1, 3, 4, 4, 4, 4}, store.sizes()[:6])
	})
}

func TestABatchWaitsForCompanyAsLongAsTheLastOneTookButNoLongerThanMayBe(t *testing.T) {
	for longest, expected := range map[time.Duration]time.Duration{
		time.Second: usual, time.Millisecond: time.Millisecond, 0: 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 2, Linger: longest}, slow(nil))
			b.pair()
			asked := time.Now()

			answered := <-b.ask("a")

			require.Equal(t, expected+usual, answered.Sub(asked))
		})
	}
}

func TestWhatComesWhileABatchRunsSharesTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slow(nil)
		b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 2, Linger: time.Second}, store)
		b.pair()
		b.ask("a", "a")

		answered := b.ask("b", "c")

		require.Equal(t, []int{1, 2, 2}, store.sizes())
		<-answered
		<-answered

		require.Equal(t, []int{1, 2, 2, 2}, store.sizes())
	})
}

func TestWhatArrivesTogetherCanBeOneBatchFromTheFirst(t *testing.T) {
	const tries = 200
	store := slow(func(run) time.Duration { return 0 })
	b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 1}, store)
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })

	for range tries {
		var answered sync.WaitGroup
		began := len(store.sizes())
		for range 5 {
			answered.Go(func() { _, _ = b.Do(t.Context(), "a") })
		}
		answered.Wait()
		// Who gets the processor next is up to the scheduler, which need not be fair.
		if sizes := store.sizes()[began:]; len(sizes) == 1 {
			return
		}
	}
	t.Errorf("in none of %d tries", tries)
}

func TestNobodyWaitsForABatchThatTakesUnusuallyLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := func(this run) time.Duration {
			if len(this.jobs) == 2 && this.jobs[0] == "s" {
				return 10 * time.Second
			}
			return usual
		}
		b := open(t, batch.Options{Largest: 10, Waiting: 100, Workers: 2, Linger: time.Second}, slow(stuck))
		b.pair()
		b.ask("s", "s")
		asked := time.Now()

		answered := <-b.ask("b")

		require.Equal(t, 3*usual, answered.Sub(asked))
	})
}
