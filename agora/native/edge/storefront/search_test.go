package storefront

import (
	"encoding/hex"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	catalogv1 "agora/native/gen/agora/catalog/v1"
	storefrontv1 "agora/native/gen/agora/storefront/v1"
	"tricorn/contract"
)

const someID = "0190a000-0000-7000-8000-00000000000a"

// The fingerprint is that which the implementation in Python makes of the same query.
func TestAQueryHasTheSameFingerprintInEveryLanguage(t *testing.T) {
	made, err := contract.QueryFingerprint(&catalogv1.SearchProductsRequest{
		Query: "é", Category: "War", OrderBy: "title", PageSize: 3, PageToken: "x",
	})

	require.NoError(t, err)
	assert.Equal(t, "54286ac51039f90f", hex.EncodeToString(made))
}

func TestAQueryWithoutALetterOrDigitAsksForNothing(t *testing.T) {
	for query, kept := range map[string]bool{"": false, "... !": false, "a": true, "٣": true, "½": true, "é": true} {
		made, err := searchFor(&storefrontv1.ListProductsRequest{Query: query}, nil)

		require.NoError(t, err)
		assert.Equal(t, kept, made.query != "", query)
		assert.Equal(t, kept, made.order == byRelevance, query)
	}
}

func TestRelevanceWithoutAQueryIsTheOrderOfTitles(t *testing.T) {
	made, err := searchFor(&storefrontv1.ListProductsRequest{OrderBy: "relevance", Category: "\x1f War\u00a0"}, nil)

	require.NoError(t, err)
	assert.Equal(t, byTitle, made.order)
	assert.Equal(t, "War", made.category)
	assert.Equal(t, defaultPageSize, made.size)
}

func TestAPositionMustBeOneOfTheOrder(t *testing.T) {
	large := new(big.Int).Lsh(big.NewInt(1), 63)
	for name, position := range map[string][]any{
		"nothing": {}, "one part": {"a"}, "three": {"a", someID, "b"}, "no id": {"a", "b"}, "ids are text": {"a", big.NewInt(1)},
		"a number for a title": {big.NewInt(1), someID}, "a NUL": {"\x00", someID},
	} {
		assert.Nil(t, placeIn(byTitle, position), name)
	}
	assert.Nil(t, placeIn(byRelevance, []any{"a", someID}))
	assert.Nil(t, placeIn(byRelevance, []any{large, someID}))
	assert.Nil(t, placeIn(byAge, []any{big.NewInt(maxMicroseconds + 1), someID}))
	assert.Equal(t, &place{time.UnixMicro(-1).UTC(), someID}, placeIn(byAge, []any{big.NewInt(-1), someID}))
	assert.Equal(t, &place{"a", someID}, placeIn(byTitle, []any{"a", "0190A000-0000-7000-8000-00000000000A"}))
}

func TestPagesOfAllSizesShareFewStatements(t *testing.T) {
	texts := map[string]bool{}
	for size := range 101 {
		sql, _ := search{order: byTitle, size: size}.statement()
		texts[sql] = true
	}

	assert.Len(t, texts, 3)
}

func TestDivisionRoundsHalfToEven(t *testing.T) {
	for _, each := range [][3]int64{{5, 2, 2}, {7, 2, 4}, {-5, 2, -2}, {-7, 2, -4}, {-1, 3, 0}, {-2, 3, -1}, {10, 5, 2}} {
		assert.Equal(t, each[2], divideHalfEven(each[0], each[1]), each)
	}
	rapid.Check(t, func(t *rapid.T) {
		numerator := rapid.Int64Range(-1<<60, 1<<60).Draw(t, "numerator")
		denominator := rapid.Int64Range(1, 1<<60).Draw(t, "denominator")
		exact := new(big.Rat).SetFrac(big.NewInt(numerator), big.NewInt(denominator))
		off := new(big.Rat).Sub(exact, new(big.Rat).SetInt64(divideHalfEven(numerator, denominator)))
		half := new(big.Rat).SetFrac64(1, 2)
		if off.Abs(off).Cmp(half) > 0 {
			t.Fatalf("%d / %d is rounded by %s", numerator, denominator, off)
		}
		if off.Cmp(half) == 0 && divideHalfEven(numerator, denominator)%2 != 0 {
			t.Fatalf("%d / %d is a tie and goes to an odd number", numerator, denominator)
		}
	})
}

func TestDemandAndStandingAreTheReferencesOwn(t *testing.T) {
	assert.EqualValues(t, 10_000, demandBasisPoints(0, 0))
	assert.EqualValues(t, 15_000, demandBasisPoints(1000, 1000))
	assert.EqualValues(t, 8_000, demandBasisPoints(0, 1000))
	assert.EqualValues(t, 10_732, demandBasisPoints(1, 1))
	assert.Equal(t, []string{"TIER_BASIC", "TIER_SILVER", "TIER_SILVER", "TIER_GOLD"}, []string{
		tierFor(199_99).String(), tierFor(200_00).String(), tierFor(999_99).String(), tierFor(1000_00).String(),
	})
	assert.EqualValues(t, 13, discountPercent(10_000_000, 8_749_960))
	assert.EqualValues(t, -14, discountPercent(2000, 2280))
}
