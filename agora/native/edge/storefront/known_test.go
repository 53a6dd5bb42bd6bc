package storefront

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	pricingv1 "agora/native/gen/agora/pricing/v1"
)

var someQuestion = question{someID, 1000, 7, unity, pricingv1.Tier_TIER_BASIC}

func TestAPriceIsKnownForWhatItDependsOnUntilAMinuteHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := &knownPrices{generation: func() int64 { return 1 }}
		price := &pricingv1.ProductPrice{FinalMinorUnits: 900}
		others := []question{someQuestion, someQuestion, someQuestion, someQuestion, someQuestion}
		others[0].product, others[1].base, others[2].available, others[3].demand = "another", 1001, 6, unity+1
		others[4].tier = pricingv1.Tier_TIER_GOLD

		before := known.find(someQuestion)
		known.keep(1, someQuestion, price)

		assert.Nil(t, before)
		assert.Same(t, price, known.find(someQuestion))
		for _, other := range others {
			assert.Nil(t, known.find(other), other)
		}
		time.Sleep(knownFor)
		assert.Nil(t, known.find(someQuestion))
	})
}

func TestAPriceIsForgottenWhenAnotherImplementationMayKnowIt(t *testing.T) {
	generation := int64(1)
	known := &knownPrices{generation: func() int64 { return generation }}
	price := &pricingv1.ProductPrice{FinalMinorUnits: 900}
	known.find(someQuestion)
	known.keep(1, someQuestion, price)

	generation = 2
	after := known.find(someQuestion)
	known.keep(1, someQuestion, price) // it was on its way when the bindings changed

	assert.Nil(t, after)
	assert.Nil(t, known.find(someQuestion))
}

func TestAsManyPricesAreKnownAsThereIsRoomFor(t *testing.T) {
	known := &knownPrices{generation: func() int64 { return 1 }}

	for base := range int64(3 * mostKnown) {
		asked := question{product: someID, base: base}
		known.find(asked)
		known.keep(1, asked, &pricingv1.ProductPrice{})
	}

	assert.LessOrEqual(t, len(known.prices), mostKnown)
	assert.NotEmpty(t, known.prices)
}
