package host

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// The collector starts when the heap is this large, or by the rules below, whichever is later. By Go's own rule alone the small heap of a
	// process that keeps little would be collected dozens of times a second under load, for an eighth of its CPU.
	heapFloor = 32 << 20
	// Or when there is so many times more than what lives, as long as that is no more than so much: what a gateway remembers of ten thousand
	// users is marked a third as often as by Go's own rule, for some 60 MiB.
	spareTimes = 3
	mostSpare  = 96 << 20
	// Go starts at 4 MiB where nothing lives, and at so many times more with a higher percentage.
	mostPercent = 100 * heapFloor / (4 << 20)
	// Go's own rule.
	leastPercent = 100
	liveBytes    = "/gc/heap/live:bytes"
)

// keepHeapFloor holds the floor from now on, unless GOGC says what the operator wants. What starting left behind should be collected before.
var keepHeapFloor = sync.OnceFunc(func() {
	if os.Getenv("GOGC") != "" {
		return
	}
	held := 0
	follow := func() {
		sample := []metrics.Sample{{Name: liveBytes}}
		metrics.Read(sample)
		// To set it stops the world, if only for a moment.
		if percent := percentFor(sample[0].Value.Uint64()); percent != held {
			held = percent
			debug.SetGCPercent(percent)
		}
	}
	follow()
	afterEachCollection(follow)
})

// percentFor is how much the heap may grow over what lives.
func percentFor(live uint64) int {
	spare := min(spareTimes*live, mostSpare)
	if live < heapFloor {
		spare = max(spare, heapFloor-live)
	}
	return int(min(max(spare*100/max(live, 1), leastPercent), mostPercent)) // #nosec G115 - a small number
}

// sentinel is found dead by the next collection. Its pointer keeps it out of blocks that tiny objects share, and live by each other.
type sentinel struct{ _ *sentinel }

func afterEachCollection(do func()) {
	dead := &sentinel{}
	runtime.SetFinalizer(dead, func(*sentinel) {
		do()
		afterEachCollection(do)
	})
}
