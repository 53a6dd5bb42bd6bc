//! Elasticity and the price that brings the most revenue.

use engine::repricing::{History, Point, elasticity, grid, reprice, sum};
use proptest::collection::vec;
use proptest::prelude::*;

fn points(days: &[(i64, i64)]) -> Vec<Point> {
    days.iter().map(|&(price, units)| Point { price, units }).collect()
}

#[test]
fn elastic_products_become_cheaper_and_inelastic_ones_dearer() {
    // Units fall with the square, the first power and the root of the price, and not at all.
    for (units, price) in [
        ([4_000_000, 1_000_000, 250_000], 500),
        ([2_000_000, 1_000_000, 500_000], 1_000),
        ([1_414_214, 1_000_000, 707_107], 1_500),
        ([1_000_000, 1_000_000, 1_000_000], 1_500),
    ] {
        let days = [500, 1_000, 2_000].into_iter().zip(units).collect::<Vec<_>>();

        assert_eq!(reprice(&History { current: 1_000, points: &points(&days) }, 5_000, 10).price, price);
    }
}

#[test]
fn a_day_without_a_sale_counts_as_half_a_unit() {
    // From 1 unit at 100 to half a unit at 200: one halving for one doubling.
    let slope = elasticity(&points(&[(100, 1), (200, 0)])).unwrap();

    assert!((slope + 1.0).abs() < 1e-12);
}

#[test]
fn without_two_prices_the_price_stays() {
    for days in [&[][..], &[(100, 5)], &[(100, 5), (100, 9)]] {
        let repriced = reprice(&History { current: 1_234, points: &points(days) }, 5_000, 10);

        assert_eq!((repriced.price, repriced.elasticity), (1_234, None));
    }
}

#[test]
fn a_sum_is_rounded_once() {
    for (values, expected) in [
        (vec![], 0.0),
        (vec![1e16, 1.0, -1e16], 1.0),
        (vec![1e100, 1.0, -1e100, 1e-100, 1e50, -1.0, -1e50], 1e-100),
        // Half a unit in the last place is a tie, which the last value breaks.
        (vec![1.0, f64::EPSILON / 2.0], 1.0),
        (vec![1.0, f64::EPSILON / 2.0, 1e-40], 1.0 + f64::EPSILON),
        (vec![0.1; 10], 1.0),
    ] {
        assert_eq!(sum(values.into_iter()).to_bits(), expected.to_bits());
    }
}

proptest! {
    #[test]
    fn a_grid_holds_the_current_price_and_stays_within_the_change(
        current in 1..=100_000_000_i64,
        change in 0..=9_000_i64,
        steps in 1..=200_i64,
    ) {
        let prices = grid(current, change, steps);

        prop_assert!(prices.contains(&current));
        prop_assert!(prices.iter().all(|&price| price >= 1 && (price - current).abs() * 10_000 <= current * change));
    }

    #[test]
    fn the_order_of_days_does_not_matter(
        days in vec((1..=1_000_000_i64, 0..=1_000_000_i64), 0..30),
        current in 1..=1_000_000_i64,
    ) {
        let forward = points(&days);
        let backward: Vec<_> = forward.iter().rev().copied().collect();

        let repriced = |points: &[Point]| reprice(&History { current, points }, 3_000, 20);
        prop_assert_eq!(repriced(&forward), repriced(&backward));
    }
}
