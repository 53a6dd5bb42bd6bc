// Package load asks for things at a pace, or as fast as they are answered, and says how long the answers took.
package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
)

// FreshKey stands in a request where each sending of it needs a new key; a random one of the same length takes its place.
const FreshKey = "00000000-0000-0000-0000-000000000000"

// Plan is what is asked: classes of requests, drawn by their weights.
type Plan struct {
	Classes []Class `json:"classes"`
	total   int
}

// Class is a kind of request; one of them is drawn each time.
type Class struct {
	Name     string   `json:"name"`
	Weight   int      `json:"weight"`
	Requests [][]byte `json:"requests"` // in base64
	keys     []int
}

// ReadPlan reads a plan from a file of JSON.
func ReadPlan(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	plan := &Plan{}
	if err := json.Unmarshal(text, plan); err != nil {
		return nil, fmt.Errorf("reading the plan %s: %w", path, err)
	}
	return plan, plan.prepare()
}

// NewPlan makes a plan with one class.
func NewPlan(name string, requests ...[]byte) *Plan {
	plan := &Plan{Classes: []Class{{Name: name, Weight: 1, Requests: requests}}}
	if err := plan.prepare(); err != nil {
		panic(err)
	}
	return plan
}

func (p *Plan) prepare() error {
	for at := range p.Classes {
		class := &p.Classes[at]
		if class.Weight <= 0 || len(class.Requests) == 0 {
			return fmt.Errorf("class %q of the plan has no weight or no requests", class.Name)
		}
		p.total += class.Weight
		for _, request := range class.Requests {
			class.keys = append(class.keys, bytes.Index(request, []byte(FreshKey)))
		}
	}
	if p.total == 0 {
		return fmt.Errorf("the plan has no classes")
	}
	return nil
}

// all is how many requests there are in the first class.
func (p *Plan) all() int { return len(p.Classes[0].Requests) }

// write writes one request into the buffer.
func (c *Class) write(number int, buffer []byte) []byte {
	buffer = append(buffer[:0], c.Requests[number]...)
	if at := c.keys[number]; at >= 0 {
		writeKey(buffer[at : at+len(FreshKey)])
	}
	return buffer
}

// draw writes the next request into the buffer, and says of which class it is.
func (p *Plan) draw(dice *rand.Rand, buffer []byte) (int, []byte) {
	chosen, left := 0, dice.IntN(p.total)
	for left >= p.Classes[chosen].Weight {
		left -= p.Classes[chosen].Weight
		chosen++
	}
	class := &p.Classes[chosen]
	return chosen, class.write(dice.IntN(len(class.Requests)), buffer)
}

// writeKey is not seeded: a run with the same seed asks for the same things, but not with keys that were used before.
func writeKey(place []byte) {
	const digits = "0123456789abcdef"
	for at, sign := range FreshKey {
		if sign != '-' {
			place[at] = digits[rand.IntN(len(digits))]
		}
	}
}
