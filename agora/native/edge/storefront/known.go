package storefront

import (
	"sync"
	"time"

	pricingv1 "agora/native/gen/agora/pricing/v1"
)

const (
	// knownFor is how long a price is not asked for again: short, so that whoever records or counts what pricing is asked sees all of it soon.
	knownFor  = time.Minute
	mostKnown = 20_000
)

// question is all that the price of a product depends on.
type question struct {
	product   string
	base      int64
	available int32
	demand    int32
	tier      pricingv1.Tier
}

// knownPrices remembers what pricing has said of single products. A price follows from what is asked and nothing else, so it holds for as long
// as the bindings do under which it was given, whoever asks.
type knownPrices struct {
	generation func() int64
	mutex      sync.Mutex
	prices     map[question]*pricingv1.ProductPrice
	of         int64
	since      time.Time
}

// find gives a price that nobody changes; nil when it must be asked for.
func (k *knownPrices) find(asked question) *pricingv1.ProductPrice {
	generation := k.generation()
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.of != generation || len(k.prices) >= mostKnown || time.Since(k.since) >= knownFor {
		k.prices, k.of, k.since = make(map[question]*pricingv1.ProductPrice), generation, time.Now()
	}
	return k.prices[asked]
}

// keep remembers a price that was asked for, after find, when these bindings held.
func (k *knownPrices) keep(generation int64, asked question, price *pricingv1.ProductPrice) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.of == generation {
		k.prices[asked] = price
	}
}
