//! A run alone, solved exactly: what it can still gain from one of its lines on, by the units it has used before.
//!
//! The reference adds one unit after the other. Here the units of a line are one window: with `G(x)` the gain of a
//! run's first `x` units if they were all of this line, and `A(x)` what can be gained after it, a run that has used `c`
//! units gains `max over x in c..=c+units of G(x) + A(x)`, less `G(c)`. All windows of one width are found by doubling.

use crate::components::RunMove;
use crate::offers::{Offers, RunOffer};

use super::NEVER;

/// Up to so many units a run's limit is considered by its bound, above it is not (but kept all the same).
const LIMITS_BOUNDED: i64 = 64;

/// Entries of the longest list that windows are looked for in: two periods, or a limit and the widest window beyond it.
const LONGEST: usize = 130;

/// One line of a run.
struct RowLine {
    cell: usize,
    /// What a free unit gains and a used one loses.
    worth: i64,
    lost: i64,
    /// The units left for which the rows from here on were computed.
    units: i64,
}

/// The table of a run, for the units left in its cells.
pub(super) struct Rows {
    pub period: usize,
    pub max_units: i64,
    /// Whether the limit is part of the table: then it has a column for each number of units used up to the limit,
    /// else one for each place within a period.
    limited: bool,
    pub size: usize,
    lines: Vec<RowLine>,
    /// Row by row, that of the end last.
    table: Vec<i64>,
    /// How many of the first so many units are free.
    free: Vec<i64>,
}

impl Rows {
    pub fn new(offers: &Offers, run: &RunMove) -> Self {
        let offer = &offers.runs[run.offer];
        let cells = offers.run_lines[offer.lines.clone()].iter().map(|at| at.cell);
        let worth = cells.zip(&run.worth);
        let lines: Vec<_> = worth.map(|(cell, &(worth, lost))| RowLine { cell, worth, lost, units: -1 }).collect();
        let limited = (1..=LIMITS_BOUNDED).contains(&offer.max_units);
        let size = if limited { offer.max_units + 1 } else { offer.period() };
        let most = offers.run_lines[offer.lines.clone()].iter().map(|at| offers.lines[at.line].quantity).max();
        let free = free_units(offer, size.max(2 * offer.period()) + most.unwrap_or(0));
        let (size, period) = (index(size), index(offer.period()));
        let mut table = vec![NEVER; (lines.len() + 1) * size];
        let end = lines.len() * size;
        table[end..].iter_mut().step_by(period).for_each(|gain| *gain = 0);
        Self { period, max_units: offer.max_units, limited, size, lines, table, free }
    }

    /// What the run can gain from a line on.
    pub fn row(&self, position: usize) -> &[i64] {
        &self.table[position * self.size..][..self.size]
    }

    /// What a free unit of a line gains and a used one loses.
    pub fn worth(&self, position: usize) -> (i64, i64) {
        (self.lines[position].worth, self.lines[position].lost)
    }

    /// How many of the first 0, 1, 2, ... units are free, beginning with those `used`.
    pub fn free_from(&self, used: usize) -> &[i64] {
        &self.free[used % self.period..]
    }

    /// Computes what has changed since the last time; gives what the whole run can gain.
    pub fn renew(&mut self, left: &[i64]) -> i64 {
        if let Some(last) = self.lines.iter().rposition(|line| line.units != left[line.cell]) {
            for position in (0..=last).rev() {
                self.lines[position].units = left[self.lines[position].cell];
                if self.limited { self.limited_row(position) } else { self.row_by_place(position) }
            }
        }
        self.table[0]
    }

    fn gain(&self, position: usize, used: usize) -> i64 {
        let line = &self.lines[position];
        line.worth * self.free[used] - line.lost * signed(used)
    }

    fn limited_row(&mut self, position: usize) {
        let most = self.size - 1;
        let width = index(self.lines[position].units).min(most) + 1;
        let mut windows = [NEVER; LONGEST];
        let after = self.row(position + 1);
        for (used, window) in windows[..self.size].iter_mut().enumerate() {
            *window = self.gain(position, used) + after[used];
        }
        widen(&mut windows[..self.size + width], width);
        self.store(position, &windows);
    }

    /// Without a limit what counts is where in a run one stands; whole runs of one line gain the same each time.
    fn row_by_place(&mut self, position: usize) {
        let period = self.period;
        let units = index(self.lines[position].units);
        let whole_run = self.gain(position, period);
        let mut many = self.windows(position, units.min(period - 1) + 1);
        let (runs, rest) = (signed(units / period), units % period);
        if runs > 0 && whole_run > 0 {
            let few = self.windows(position, rest + 1);
            for (many, few) in many[..period].iter_mut().zip(&few) {
                *many = (runs * whole_run + few).max((runs - 1) * whole_run + *many);
            }
        }
        self.store(position, &many);
    }

    fn store(&mut self, position: usize, windows: &[i64]) {
        for (used, most) in windows[..self.size].iter().enumerate() {
            self.table[position * self.size + used] = most - self.gain(position, used);
        }
    }

    fn windows(&self, position: usize, width: usize) -> [i64; LONGEST] {
        let mut windows = [NEVER; LONGEST];
        let twice = 2 * self.period;
        let after = self.row(position + 1);
        for (used, window) in windows[..twice].iter_mut().enumerate() {
            *window = self.gain(position, used) + after[used % self.period];
        }
        widen(&mut windows[..twice], width);
        windows
    }
}

/// Makes each entry the largest of the `width` entries from it on; wrong for the last `width - 1`.
fn widen(entries: &mut [i64], width: usize) {
    let mut reached = 1;
    while reached < width {
        let step = reached.min(width - reached);
        for at in 0..entries.len() - step {
            entries[at] = entries[at].max(entries[at + step]);
        }
        reached += step;
    }
}

fn free_units(offer: &RunOffer, most: i64) -> Vec<i64> {
    (0..=most).map(|units| offer.free_of_first(units)).collect()
}

/// A number of units as an index; it is never negative.
pub(super) fn index(units: i64) -> usize {
    usize::try_from(units).expect("a number of units is not negative")
}

/// The inverse of [`index`].
pub(super) fn signed(units: usize) -> i64 {
    i64::try_from(units).expect("a number of units is small")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::basket::Basket;
    use crate::components::components_of;
    use crate::promotions::{Line, ProductSet, Promotion, Terms};

    /// What a run gains at most from these lines on, one unit after the other.
    fn most(run: &RunOffer, limit: i64, lines: &[(i64, (i64, i64))], used: i64) -> i64 {
        let Some((&(units, (worth, lost)), rest)) = lines.split_first() else {
            return if used % run.period() == 0 { 0 } else { NEVER / 2 };
        };
        let gain = |number| worth * (run.free_of_first(used + number) - run.free_of_first(used)) - lost * number;
        (0..=units.min(limit - used)).map(|number| gain(number) + most(run, limit, rest, used + number)).max().unwrap()
    }

    proptest! {
        #[test]
        fn a_table_says_what_trying_every_number_finds(
            quantities in vec(1..8_i64, 1..5),
            (buy, free, max_applications) in (1..4_i64, 1..4_i64, 0..4_i64),
            percent in 1..5_000_i64,
            taken in vec(0..8_i64, 4),
        ) {
            let ids: Vec<String> = (0..quantities.len()).map(|number| number.to_string()).collect();
            let lines: Vec<_> = ids.iter().zip(&quantities).zip(1..).map(|((product_id, &quantity), number)| {
                Line { product_id, quantity, unit: 1_000 - 100 * number, categories: &[] }
            }).collect();
            let products = ProductSet::default();
            let promotion = |promotion_id, terms| Promotion { promotion_id, terms, exclusivity_group: "g", coupon_code: "" };
            let promotions = [
                promotion("run", Terms::BuyGetFree { products, buy, free, max_applications }),
                promotion("percent", Terms::PercentOff { products, basis_points: percent }),
            ];
            let basket = Basket { lines: &lines, promotions: &promotions, coupon_codes: &[], step_budget: 0 };
            let offers = Offers::of(&basket);
            prop_assume!(!offers.runs.is_empty());
            let run = &components_of(&offers)[0].runs[0];
            let mut rows = Rows::new(&offers, run);
            let mut left: Vec<i64> = quantities.clone();
            rows.renew(&left);
            // Then with fewer, by which only a part of the table is renewed.
            for (left, taken) in left.iter_mut().zip(&taken) {
                *left = (*left - taken).max(0);
            }

            let gain = rows.renew(&left);

            let lines: Vec<_> = left.iter().copied().zip(run.worth.iter().copied()).collect();
            let limit = offers.runs[0].max_units;
            prop_assert_eq!(gain, most(&offers.runs[0], if limit > 0 { limit } else { i64::MAX }, &lines, 0));
        }
    }
}
