//! Integer arithmetic of prices: minor units, basis points, one rounding.

/// Basis points of one whole.
pub const UNITY: i64 = 10_000;

/// `numerator / denominator` as the nearest integer, ties to the even one; `denominator` is positive.
///
/// Rust's `/` rounds towards zero and Python's `//` down, so the Euclidean pair is taken, which for a positive
/// denominator is Python's.
///
/// # Panics
///
/// If `denominator` is zero.
#[must_use]
pub fn divide_half_even(numerator: i128, denominator: i128) -> i128 {
    let (quotient, remainder) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let above = remainder > denominator - remainder;
    let tie = remainder == denominator - remainder;
    quotient + i128::from(above || (tie && quotient % 2 != 0))
}

/// [`divide_half_even`] where numerator and quotient are known to fit.
pub(crate) fn divide_small(numerator: i64, denominator: i64) -> i64 {
    let (quotient, remainder) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let (above, tie) = (remainder > denominator - remainder, remainder == denominator - remainder);
    quotient + i64::from(above || (tie && quotient % 2 != 0))
}

/// So many basis points of an amount, half to even.
pub(crate) fn share(amount: i64, basis_points: i64) -> i64 {
    divide_small(amount * basis_points, UNITY)
}

/// Divides `amount` in proportion to `weights`, losing nothing: the parts are differences of floors of running sums.
///
/// With `0 <= amount <= sum(weights)` no part is above its weight. Some weight is positive.
pub(crate) fn split(amount: i64, weights: impl Iterator<Item = i64> + Clone) -> impl Iterator<Item = i64> {
    let whole: i64 = weights.clone().sum();
    let (mut running, mut given) = (0, 0);
    weights.map(move |weight| {
        running += weight;
        let reached = floor_of(amount, running, whole);
        let part = reached - given;
        given = reached;
        part
    })
}

/// `amount * part / whole`, rounded down; the product may be beyond 64 bits, the quotient is not.
fn floor_of(amount: i64, part: i64, whole: i64) -> i64 {
    match amount.checked_mul(part) {
        Some(product) => product / whole,
        None => narrow(i128::from(amount) * i128::from(part) / i128::from(whole)),
    }
}

/// A value that [`crate::limits`] proves to fit.
pub(crate) fn narrow(wide: i128) -> i64 {
    i64::try_from(wide).expect("limits keep every amount within 64 bits")
}
