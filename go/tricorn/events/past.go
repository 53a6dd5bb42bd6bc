package events

import (
	"slices"
	"time"
)

// mostHoles is how many places between known events are asked for one by one.
const mostHoles = 256

// past is what of a log was seen. Positions are given out before transactions commit, so an event may appear below the ones already seen, in a
// hole between them, for as long as a transaction may take. A look asks for what follows the highest position, and for the holes: it costs what is
// new, not what came in the last minute.
type past struct {
	late time.Duration
	// low is the position up to which nothing can appear any more, high the highest that was seen.
	low, high int64
	seen      map[int64]struct{} // above low
	order     []sighting         // of what is in seen, in the order of sight
	holes     []int64
	// crowded is when there were last too many holes to be asked for one by one; until a look after their time all above low is read again.
	crowded time.Time
}

type sighting struct {
	position int64
	at       time.Time
}

func newPast(late time.Duration) *past {
	return &past{late: late, seen: make(map[int64]struct{})}
}

// unseen says where what was not seen may be: above a position, and at others below it.
func (p *past) unseen() (int64, []int64) {
	if p.high <= p.low || !p.crowded.IsZero() {
		return p.low, nil
	}
	return p.high, slices.Clone(p.holes)
}

// add notes an event; it tells whether that is new.
func (p *past) add(position int64, now time.Time) bool {
	if _, known := p.seen[position]; known || position <= p.low {
		return false
	}
	p.seen[position] = struct{}{}
	p.order = append(p.order, sighting{position, now})
	from := max(p.high, p.low) + 1
	p.high = max(p.high, position)
	if position-from > mostHoles-int64(len(p.holes)) {
		p.crowded = now
		return true
	}
	for hole := from; hole < position; hole++ {
		p.holes = append(p.holes, hole)
	}
	return true
}

// forget: below an event seen long enough ago nothing can appear any more.
func (p *past) forget(now time.Time) {
	for len(p.order) > 0 && now.Sub(p.order[0].at) > p.late {
		p.low = max(p.low, p.order[0].position)
		delete(p.seen, p.order[0].position)
		p.order = p.order[1:]
	}
	p.holes = slices.DeleteFunc(p.holes, func(hole int64) bool {
		_, filled := p.seen[hole]
		return filled || hole <= p.low
	})
	if now.Sub(p.crowded) > p.late {
		p.crowded = time.Time{}
	}
}
