//! The dynamic price of one unit.

use crate::money::{UNITY, divide_half_even, divide_small, narrow};

/// What a customer's spending has earned; the numbers are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// 5 % off every unit.
    Basic = 1,
    /// 10 %.
    Silver = 2,
    /// 15 %.
    Gold = 3,
}

impl Tier {
    /// The tier with this number in the contract.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Basic),
            2 => Some(Self::Silver),
            3 => Some(Self::Gold),
            _ => None,
        }
    }

    /// What comes off every unit.
    #[must_use]
    pub fn discount_basis_points(self) -> i64 {
        match self {
            Self::Basic => 500,
            Self::Silver => 1_000,
            Self::Gold => 1_500,
        }
    }
}

/// 1.5 below 10 units, 1.2 below 50, else 1.0; in basis points.
#[must_use]
pub fn scarcity_basis_points(available: i32) -> i32 {
    match available {
        ..10 => 15_000,
        10..50 => 12_000,
        50.. => 10_000,
    }
}

/// What one unit costs before promotions, in minor units.
///
/// `base x demand x scarcity x (1 - tier discount)`, multiplied exactly and divided once at the end, half to even: no
/// intermediate result is rounded. A base of up to 10^8 and a demand of up to 50,000 basis points, the contract's
/// largest, give at most [`crate::limits::MOST_UNIT`].
///
/// # Panics
///
/// If the price is beyond 64 bits, which needs a base or demand that the contract refuses.
#[must_use]
pub fn unit_price(base: i64, available: i32, demand_basis_points: i32, tier: Tier) -> i64 {
    let factors = i64::from(demand_basis_points)
        * i64::from(scarcity_basis_points(available))
        * (UNITY - tier.discount_basis_points());
    match base.checked_mul(factors) {
        Some(product) => divide_small(product, UNITY.pow(3)),
        None => narrow(divide_half_even(i128::from(base) * i128::from(factors), i128::from(UNITY.pow(3)))),
    }
}

/// How much less than the base price, negative when it rose; zero for a base of zero.
///
/// # Panics
///
/// If the answer is beyond 64 bits, which needs prices that the contract refuses.
#[must_use]
pub fn discount_basis_points(base: i64, last: i64) -> i64 {
    if base == 0 {
        return 0;
    }
    narrow(divide_half_even(i128::from(UNITY) * (i128::from(base) - i128::from(last)), i128::from(base)))
}
