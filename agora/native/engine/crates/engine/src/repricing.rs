//! Elasticity from demand history, and the price that brings the most revenue.
//!
//! The only floating point of prices. Sums are correctly rounded ([`sum`]), so the order of days does not matter, and
//! `ln` and `powf` are those of the platform's C library, which the reference calls too.

use std::collections::BTreeSet;
use std::hint::black_box;

use crate::money::{UNITY, divide_small};

/// Revenues closer than this share of the best are equal: a decision must not hang on the last bit of a logarithm.
pub const TIE: f64 = 1e-9;

const LEAST_UNITS: f64 = 0.5;

/// One day's price and units of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Minor units, from 1 to 10^8.
    pub price: i64,
    /// Units sold, at most 10^9.
    pub units: i64,
}

/// What is known of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History<'a> {
    /// The present price in minor units, from 1 to 10^8.
    pub current: i64,
    /// One for each day with sales, in any order.
    pub points: &'a [Point],
}

/// A product's new price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repriced {
    /// Minor units.
    pub price: i64,
    /// d ln(units) / d ln(price); `None` when the history does not determine it, and the price stays.
    pub elasticity: Option<f64>,
}

/// The revenue-best price of the grid, if the history determines an elasticity; else the price stays.
///
/// With demand `units ~ price ^ elasticity` the revenue of a price, against that of the current one, is
/// `(price / current) ^ (1 + elasticity)`. Of equal revenues (see [`TIE`]) the price nearest the current one is taken,
/// then the lower.
#[must_use]
pub fn reprice(history: &History<'_>, max_change_basis_points: i64, grid_steps: i64) -> Repriced {
    let current = history.current;
    let Some(slope) = elasticity(history.points) else {
        return Repriced { price: current, elasticity: None };
    };
    let revenue = |price: i64| (1.0 + slope) * (float(price) / float(current)).ln();
    let prices: Vec<(i64, f64)> =
        grid(current, max_change_basis_points, grid_steps).into_iter().map(|price| (price, revenue(price))).collect();
    let best = prices.iter().map(|&(_, revenue)| revenue).fold(f64::NEG_INFINITY, f64::max);
    let equal = prices.iter().filter(|(_, revenue)| best - revenue <= TIE).map(|&(price, _)| price);
    let price = equal.min_by_key(|price| ((price - current).abs(), *price)).unwrap_or(current);
    Repriced { price, elasticity: Some(slope) }
}

/// The slope of the least-squares line of ln(units) over ln(price); none with fewer than two different prices.
///
/// A day without a sale has no logarithm and counts as half a unit.
#[must_use]
pub fn elasticity(points: &[Point]) -> Option<f64> {
    let first = points.first()?.price;
    if points.iter().all(|point| point.price == first) {
        return None;
    }
    let x: Vec<f64> = points.iter().map(|point| float(point.price).ln()).collect();
    let ln_units = |units| if units == 0 { LEAST_UNITS.ln() } else { float(units).ln() };
    let y: Vec<f64> = points.iter().map(|point| ln_units(point.units)).collect();
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let covariance = sum(x.iter().zip(&y).map(|(a, b)| (a - mean_x) * (b - mean_y)));
    // Hidden from the compiler, which would make a product of it; the C library's power may differ in the last bit.
    let two = black_box(2.0);
    Some(covariance / sum(x.iter().map(|a| (a - mean_x).powf(two))))
}

/// The prices tried, ascending: the current one and `grid_steps` on either side, evenly, half to even.
///
/// None is farther from the current price than the change allows (rounded down to a minor unit), and none below 1.
#[must_use]
pub fn grid(current: i64, max_change_basis_points: i64, grid_steps: i64) -> BTreeSet<i64> {
    let change = current * max_change_basis_points;
    let furthest = change.div_euclid(UNITY);
    (-grid_steps..=grid_steps)
        .map(|step| current + divide_small(change * step, UNITY * grid_steps).clamp(-furthest, furthest))
        .filter(|&price| price >= 1)
        .collect()
}

/// Prices and units lie far below 2^53, so nothing is rounded.
#[expect(clippy::cast_precision_loss, reason = "the contract's amounts are exact as floats")]
fn float(amount: i64) -> f64 {
    amount as f64
}

#[expect(clippy::cast_precision_loss, reason = "a history has at most 1,000 days")]
fn mean(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len() as f64
}

/// The sum, rounded once: what Python's `math.fsum` gives (Shewchuk 1997, with its correction for ties). Values are finite
/// and far from overflow.
#[must_use]
pub fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut partials: Vec<f64> = Vec::with_capacity(8);
    for mut value in values {
        let mut kept = 0;
        for at in 0..partials.len() {
            let (rounded, rest) = exact_sum(value, partials[at]);
            if rest != 0.0 {
                partials[kept] = rest;
                kept += 1;
            }
            value = rounded;
        }
        partials.truncate(kept);
        if value != 0.0 {
            partials.push(value);
        }
    }
    rounded(&mut partials)
}

/// The sum as a float and what the rounding lost.
fn exact_sum(a: f64, b: f64) -> (f64, f64) {
    let (large, small) = if a.abs() < b.abs() { (b, a) } else { (a, b) };
    let high = large + small;
    (high, small - (high - large))
}

/// Partials that do not overlap, ascending in size, as one float.
fn rounded(partials: &mut Vec<f64>) -> f64 {
    let Some(mut high) = partials.pop() else { return 0.0 };
    let mut low = 0.0;
    while let Some(next) = partials.pop() {
        (high, low) = exact_sum(high, next);
        if low != 0.0 {
            break;
        }
    }
    // What is lost is half a unit in the last place, and more lies on its side: the tie was none.
    if let Some(&below) = partials.last()
        && ((low < 0.0 && below < 0.0) || (low > 0.0 && below > 0.0))
    {
        let twice = low * 2.0;
        let other = high + twice;
        #[expect(clippy::float_cmp, reason = "exactness is the question")]
        if twice == other - high {
            high = other;
        }
    }
    high
}
