package telemetry

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of buckets are powers of two, each cut into 8 equal parts: an estimate is 12.5 % high at most.
const (
	parts           = 8
	lowestExponent  = -19 // everything below 2^-20 s, a microsecond
	highestExponent = 8   // everything above 2^8 s
	buckets         = (highestExponent - lowestExponent + 1) * parts
)

// Figures are calls since the start of the process. Times are in milliseconds; P99 is an estimate, at most 12.5 % too high.
type Figures struct {
	Service        string
	Implementation string
	Calls          int64
	Errors         int64
	Mean           float64
	P99            float64
}

// Stats are call counts and latency histograms by method, and fallbacks; safe for use by several goroutines. One Stats feeds both the stats
// contract and Prometheus, so that the two never disagree.
type Stats struct {
	methods   atomic.Pointer[map[key]*times] // replaced when one is added
	adding    sync.Mutex
	fallbacks sync.Map // Fallback -> *atomic.Int64
}

type key struct{ service, method, implementation string }

type times struct {
	service, method, implementation string

	calls, errors, nanoseconds atomic.Int64
	buckets                    [buckets]atomic.Int64
}

// Fallback names calls that were bound to an implementation and not answered by it.
type Fallback struct {
	// Method is "package.Service/Method".
	Method         string
	Implementation string
	Why            string
}

// NewStats makes one that counted nothing yet.
func NewStats() *Stats { return &Stats{} }

// Observe counts one call of "package.Service/Method" that an implementation answered.
func (s *Stats) Observe(method, implementation string, took time.Duration, failed bool) {
	service, name, _ := strings.Cut(method, "/")
	s.ObserveIn(service, name, implementation, took, failed)
}

// ObserveIn is Observe for a method whose name is known apart from its service's.
func (s *Stats) ObserveIn(service, name, implementation string, took time.Duration, failed bool) {
	times := s.of(key{service, name, implementation})
	times.calls.Add(1)
	times.nanoseconds.Add(int64(took))
	if failed {
		times.errors.Add(1)
	}
	times.buckets[bucket(took.Seconds())].Add(1)
}

func (s *Stats) of(name key) *times {
	if found := s.find(name); found != nil {
		return found
	}
	s.adding.Lock()
	defer s.adding.Unlock()
	if found := s.find(name); found != nil {
		return found
	}
	more := map[key]*times{name: {service: name.service, method: name.method, implementation: name.implementation}}
	if all := s.methods.Load(); all != nil {
		maps.Copy(more, *all)
	}
	s.methods.Store(&more)
	return more[name]
}

// find gives nil for what was never called.
func (s *Stats) find(name key) *times {
	if all := s.methods.Load(); all != nil {
		return (*all)[name]
	}
	return nil
}

// FellBack counts one call that was bound to an implementation and was answered by the reference, or refused above the cap.
func (s *Stats) FellBack(method, implementation, why string) {
	name := Fallback{method, implementation, why}
	found, ok := s.fallbacks.Load(name)
	if !ok {
		found, _ = s.fallbacks.LoadOrStore(name, new(atomic.Int64))
	}
	found.(*atomic.Int64).Add(1)
}

// Fallbacks gives how many calls fell back, by method, implementation and why.
func (s *Stats) Fallbacks() map[Fallback]int64 {
	made := map[Fallback]int64{}
	s.fallbacks.Range(func(name, count any) bool {
		made[name.(Fallback)] = count.(*atomic.Int64).Load()
		return true
	})
	return made
}

// Snapshot gives one entry for each service and implementation that was called, in order of name.
func (s *Stats) Snapshot() []Figures {
	groups := map[[2]string][]*times{}
	for _, each := range s.all() {
		name := [2]string{each.service, each.implementation}
		groups[name] = append(groups[name], each)
	}
	made := make([]Figures, 0, len(groups))
	for name, group := range groups {
		made = append(made, merge(name[0], name[1], group))
	}
	slices.SortFunc(made, func(a, b Figures) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Implementation, b.Implementation))
	})
	return made
}

// Calls gives how many calls of "package.Service/Method" an implementation answered.
func (s *Stats) Calls(method, implementation string) int64 {
	service, name, _ := strings.Cut(method, "/")
	if found := s.find(key{service, name, implementation}); found != nil {
		return found.calls.Load()
	}
	return 0
}

func (s *Stats) all() []*times {
	if all := s.methods.Load(); all != nil {
		return slices.Collect(maps.Values(*all))
	}
	return nil
}

func merge(service, implementation string, group []*times) Figures {
	made := Figures{Service: service, Implementation: implementation}
	var nanoseconds int64
	var summed [buckets]int64
	for _, each := range group {
		made.Calls += each.calls.Load()
		made.Errors += each.errors.Load()
		nanoseconds += each.nanoseconds.Load()
		for i := range each.buckets {
			summed[i] += each.buckets[i].Load()
		}
	}
	if made.Calls > 0 {
		made.Mean = float64(nanoseconds) / 1e6 / float64(made.Calls)
	}
	made.P99 = 1000 * quantile(&summed, 0.99)
	return made
}

func bucket(seconds float64) int {
	mantissa, exponent := math.Frexp(seconds)
	if exponent < lowestExponent || seconds <= 0 {
		return 0
	}
	if exponent > highestExponent {
		return buckets - 1
	}
	return (exponent-lowestExponent)*parts + int((mantissa-0.5)*2*parts)
}

// quantile gives the upper bound in seconds of the bucket that holds the call at a share (0 to 1); 0 when there were no calls.
func quantile(counts *[buckets]int64, share float64) float64 {
	var total, seen int64
	for _, count := range counts {
		total += count
	}
	wanted := int64(math.Ceil(float64(total) * share))
	for i, count := range counts {
		seen += count
		if count > 0 && seen >= wanted {
			return math.Ldexp(0.5+float64(i%parts+1)/(2*parts), i/parts+lowestExponent)
		}
	}
	return 0
}

func split(fullName string) (service, method string) {
	service, method, _ = strings.Cut(fullName, "/")
	return service, method
}
