package cache

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	forgetWritesAbove = 10_000
	longestCall       = time.Minute
	never             = time.Duration(math.MinInt64)
)

// writes notes when each user's last call with effects ended.
type writes struct {
	clock   func() time.Duration
	longest time.Duration
	seed    maphash.Seed
	mu      sync.RWMutex
	ended   map[uint64]time.Duration // by writer; of two with the same number both read anew what one wrote
	sweepAt int
}

// newWrites notes on a clock, the time since some fixed moment. longest is how long any answer may be kept.
func newWrites(clock func() time.Duration, longest time.Duration) *writes {
	return &writes{
		clock: clock, longest: longest, seed: maphash.MakeSeed(), ended: make(map[uint64]time.Duration), sweepAt: forgetWritesAbove,
	}
}

// writer is the number by which a user's writes are found; zero for nobody in particular.
func (w *writes) writer(user string) uint64 {
	if user == "" {
		return 0
	}
	return max(1, maphash.String(w.seed, user))
}

// Wrote notes that a call of the user with effects ended, however it ended.
func (w *writes) Wrote(user string) {
	now, writer := w.clock(), w.writer(user)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[writer] = now
	if len(w.ended) <= w.sweepAt {
		return
	}
	// A write older than every answer can be holds nothing back any more; a call takes at most a minute.
	for each, when := range w.ended {
		if when <= now-w.longest-longestCall {
			delete(w.ended, each)
		}
	}
	w.sweepAt = max(forgetWritesAbove, 2*len(w.ended)) // so that many who write are not looked through at every write
}

// Since is when a writer last wrote; before every moment when they never did, or are nobody in particular.
func (w *writes) Since(writer uint64) time.Duration {
	if writer == 0 {
		return never
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if when, ok := w.ended[writer]; ok {
		return when
	}
	return never
}

// epochs counts how often the answers of each method were forgotten.
type epochs struct {
	all     *atomic.Uint64
	allAt   *atomic.Int64
	methods *sync.Map
}

type epoch struct {
	count atomic.Uint64
	at    atomic.Int64
}

func newEpochs() epochs {
	made := epochs{new(atomic.Uint64), new(atomic.Int64), new(sync.Map)}
	made.allAt.Store(int64(never))
	return made
}

func (e epochs) find(method string) *epoch {
	if found, ok := e.methods.Load(method); ok {
		return found.(*epoch)
	}
	return nil
}

func (e epochs) of(method string) uint64 {
	count := e.all.Load()
	if found := e.find(method); found != nil {
		count += found.count.Load()
	}
	return count
}

// changed is when the method's answers were last forgotten.
func (e epochs) changed(method string) time.Duration {
	at := e.allAt.Load()
	if found := e.find(method); found != nil {
		at = max(at, found.at.Load())
	}
	return time.Duration(at)
}

func (e epochs) forgetAll(now time.Duration) {
	e.allAt.Store(int64(now))
	e.all.Add(1)
}

func (e epochs) forget(method string, now time.Duration) {
	found := e.find(method)
	if found == nil {
		made := new(epoch)
		made.at.Store(int64(never))
		kept, _ := e.methods.LoadOrStore(method, made)
		found = kept.(*epoch)
	}
	found.at.Store(int64(now))
	found.count.Add(1)
}
