//! What the contract allows, and why nothing overflows within it.
//!
//! The reference computes with integers of any size. Here `i64` is enough, by these bounds:
//!
//! - a unit costs at most [`MOST_UNIT`] = 10^8 x 5.0 x 1.5 x 0.95 = 7.125 x 10^8, a line 100 times that, all 50 lines
//!   `S` = 3.6 x 10^12;
//! - what one application of an offer gains or loses is at most the subtotals of its lines, so below `S` in size; an
//!   offer applies at most 100 times and there are 64, so every bound of the search is below 6400 `S` = 2.3 x 10^16;
//! - a sum over cells (a line as one group sees it: at most 64 x 50) of units left times a gain is below
//!   3200 x 100 x 7.2 x 10^10 = 2.3 x 10^16;
//! - "impossible" is -2^60 = -1.2 x 10^18, and stays below -2^59 when any of these is added to it.
//!
//! The only products that may be larger, a price's factors and the parts of a split, are computed in 128 bits
//! ([`crate::money`]).

use std::fmt;

use crate::basket::Basket;
use crate::promotions::{Line, Promotion, Terms};

/// Lines of a basket.
pub const MOST_LINES: usize = 50;
/// Units of a line.
pub const MOST_QUANTITY: i64 = 100;
/// Minor units that one unit costs.
pub const MOST_UNIT: i64 = 712_500_000;
/// Promotions of a basket; sets of them are words of 64 bits.
pub const MOST_PROMOTIONS: usize = 64;
/// Units bought, and units free, of one run of a `BuyGetFree`.
pub const MOST_RUN: i64 = 20;
/// Applications that a promotion may be limited to.
pub const MOST_APPLICATIONS: i64 = 100;
/// Minor units of a bundle's price and a threshold's amount.
pub const MOST_AMOUNT: i64 = 100_000_000;
/// Minor units of a threshold's minimum.
pub const MOST_MINIMUM: i64 = 1_000_000_000;
/// Steps of a search.
pub const MOST_STEPS: i64 = 10_000_000;

/// Names what is beyond what the contract allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange(pub &'static str);

impl fmt::Display for OutOfRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is beyond what the contract allows", self.0)
    }
}

impl std::error::Error for OutOfRange {}

/// Makes sure of everything that the arithmetic relies on.
pub(crate) fn check(basket: &Basket<'_>) -> Result<(), OutOfRange> {
    holds(basket.lines.len() <= MOST_LINES, "the number of lines")?;
    holds(basket.promotions.len() <= MOST_PROMOTIONS, "the number of promotions")?;
    holds((0..=MOST_STEPS).contains(&basket.step_budget), "the step budget")?;
    basket.lines.iter().try_for_each(check_line)?;
    basket.promotions.iter().try_for_each(check_promotion)
}

fn check_line(line: &Line<'_>) -> Result<(), OutOfRange> {
    holds((1..=MOST_QUANTITY).contains(&line.quantity), "a line's quantity")?;
    holds((0..=MOST_UNIT).contains(&line.unit), "a unit price")
}

fn check_promotion(promotion: &Promotion<'_>) -> Result<(), OutOfRange> {
    match promotion.terms {
        Terms::PercentOff { basis_points, .. } => holds((1..=10_000).contains(&basis_points), "a percentage"),
        Terms::BuyGetFree { buy, free, max_applications, .. } => {
            holds((1..=MOST_RUN).contains(&buy) && (1..=MOST_RUN).contains(&free), "the length of a run")?;
            check_applications(max_applications)
        }
        Terms::Bundle { price, max_applications, .. } => {
            holds((0..=MOST_AMOUNT).contains(&price), "a bundle's price")?;
            check_applications(max_applications)
        }
        Terms::Threshold { minimum, amount, basis_points, .. } => {
            holds((0..=MOST_MINIMUM).contains(&minimum), "a threshold's minimum")?;
            holds((0..=MOST_AMOUNT).contains(&amount), "a threshold's amount")?;
            holds((0..=10_000).contains(&basis_points), "a threshold's percentage")
        }
    }
}

fn check_applications(most: i64) -> Result<(), OutOfRange> {
    holds((0..=MOST_APPLICATIONS).contains(&most), "a limit of applications")
}

fn holds(condition: bool, what: &'static str) -> Result<(), OutOfRange> {
    if condition { Ok(()) } else { Err(OutOfRange(what)) }
}
