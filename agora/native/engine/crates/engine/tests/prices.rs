//! The price of a unit, and the arithmetic under it.

use engine::lines::{Tier, discount_basis_points, scarcity_basis_points, unit_price};
use engine::money::divide_half_even;
use proptest::prelude::*;

proptest! {
    #[test]
    fn division_gives_the_nearest_integer_and_of_two_the_even_one(
        numerator in -1_000_000_000_000_i128..1_000_000_000_000,
        denominator in 1_i128..1_000,
    ) {
        let quotient = divide_half_even(numerator, denominator);

        let off = 2 * (numerator - quotient * denominator);
        prop_assert!(off.abs() < denominator || (off.abs() == denominator && quotient % 2 == 0));
    }

    #[test]
    fn a_higher_tier_never_pays_more(base in 0..=100_000_000_i64, available in 0..200, demand in 1_000..=50_000) {
        let [basic, silver, gold] =
            [Tier::Basic, Tier::Silver, Tier::Gold].map(|tier| unit_price(base, available, demand, tier));

        prop_assert!(basic >= silver && silver >= gold && gold >= 0);
    }
}

#[test]
fn halves_go_to_the_even_side() {
    for (numerator, quotient) in [(5, 2), (15, 8), (25, 12), (-5, -2), (-15, -8), (26, 13)] {
        assert_eq!(divide_half_even(numerator, 2), quotient);
    }
}

#[test]
fn scarce_products_cost_more() {
    for (available, scarcity) in
        [(0, 15_000), (9, 15_000), (10, 12_000), (49, 12_000), (50, 10_000), (i32::MAX, 10_000)]
    {
        assert_eq!(scarcity_basis_points(available), scarcity);
    }
}

#[test]
fn a_price_is_rounded_once() {
    for (base, available, demand, tier, price) in [
        (2_000, 100, 10_000, Tier::Basic, 1_900),
        (2_000, 100, 10_000, Tier::Silver, 1_800),
        (2_000, 100, 10_000, Tier::Gold, 1_700),
        // 1999 x 1.2345 x 1.5 x 0.85 = 3146.40... once; 3147 if rounded in between
        (1_999, 9, 12_345, Tier::Gold, 3_146),
        // 9.5 to the even 10, 28.5 to the even 28
        (10, 100, 10_000, Tier::Basic, 10),
        (30, 100, 10_000, Tier::Basic, 28),
        (0, 0, 50_000, Tier::Basic, 0),
        // The contract's dearest.
        (100_000_000, 0, 50_000, Tier::Basic, engine::limits::MOST_UNIT),
    ] {
        assert_eq!(unit_price(base, available, demand, tier), price);
    }
}

#[test]
fn a_discount_is_negative_where_the_price_rose() {
    for (base, last, discount) in [(2_000, 1_700, 1_500), (2_000, 3_000, -5_000), (0, 0, 0), (3, 2, 3_333)] {
        assert_eq!(discount_basis_points(base, last), discount);
    }
}

#[test]
fn tiers_have_the_contract_s_numbers() {
    let tiers = [0, 1, 2, 3, 4].map(Tier::from_number);

    assert_eq!(tiers, [None, Some(Tier::Basic), Some(Tier::Silver), Some(Tier::Gold), None]);
}
