package storefront

import (
	"time"

	pricingv1 "agora/native/gen/agora/pricing/v1"
)

const (
	recentDays     = 7
	usualDays      = 28
	usualWeeks     = usualDays / recentDays
	dampingUnits   = 10
	unity          = 10_000
	lowestDemand   = 8_000
	highestDemand  = 15_000
	silverFrom     = 200_00
	goldFrom       = 1000_00
	hundredPercent = 100
)

// firstDays is where the recent and the usual days begin; both end with today.
func firstDays(today time.Time) (recent, usual time.Time) {
	return today.AddDate(0, 0, 1-recentDays), today.AddDate(0, 0, 1-usualDays)
}

// demandBasisPoints is demand from the units sold in the last 7 and in the last 28 days; 10000 is ordinary. The recent
// week against the mean week of the four, both with 10 units added, half to even, within 8000 and 15000.
func demandBasisPoints(recent, usual int64) int32 {
	ratio := divideHalfEven(unity*usualWeeks*(recent+dampingUnits), usual+usualWeeks*dampingUnits)
	return int32(max(lowestDemand, min(highestDemand, ratio)))
}

// tierFor is what customers earn by spending: silver from 200.00, gold from 1000.00.
func tierFor(spent int64) pricingv1.Tier {
	switch {
	case spent >= goldFrom:
		return pricingv1.Tier_TIER_GOLD
	case spent >= silverFrom:
		return pricingv1.Tier_TIER_SILVER
	default:
		return pricingv1.Tier_TIER_BASIC
	}
}

// discountPercent is how many percent of the base price (at least 1) are saved: rounded once, half to even; negative
// when the price rose.
func discountPercent(base, final int64) int32 {
	return int32(divideHalfEven(hundredPercent*(base-final), base))
}

// divideHalfEven is the nearest integer to numerator / denominator, ties to the even one; denominator is positive.
func divideHalfEven(numerator, denominator int64) int64 {
	quotient, remainder := numerator/denominator, numerator%denominator
	if remainder < 0 {
		quotient, remainder = quotient-1, remainder+denominator
	}
	// Compared with what is left, since twice the remainder might not fit.
	if rest := denominator - remainder; remainder > rest || remainder == rest && quotient%2 != 0 {
		return quotient + 1
	}
	return quotient
}
