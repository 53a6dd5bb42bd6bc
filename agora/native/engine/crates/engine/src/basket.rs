//! The cheapest legal combination of promotions for a basket; what that means is written in the reference's
//! `promotions`, how it is found in its `search`.

use std::collections::HashSet;
use std::fmt;

use crate::components::components_of;
use crate::limits::{self, OutOfRange};
use crate::offers::{Offers, Source};
use crate::promotions::{Applied, BasketPrice, Line, Promotion};
use crate::search::{Ended, Search, Steps, Work};
use crate::settlement::{Decided, Scratch, settle};

/// The steps of a search that was given a budget of zero.
pub const DEFAULT_STEP_BUDGET: i64 = 50_000;

/// What is to be priced: products and promotions each come once (see [`each_once`]).
#[derive(Clone, Copy, Debug)]
pub struct Basket<'a> {
    /// In any order.
    pub lines: &'a [Line<'a>],
    /// In any order.
    pub promotions: &'a [Promotion<'a>],
    /// In any order, also more than once.
    pub coupon_codes: &'a [String],
    /// How many steps the search may take; zero: [`DEFAULT_STEP_BUDGET`].
    pub step_budget: i64,
}

/// One rule that a request breaks, as the contract's errors tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request.
    pub field: &'static str,
    /// The rule's id.
    pub rule: &'static str,
    /// What the rule asks for.
    pub message: &'static str,
}

/// Products or promotions named twice; on the wire it is an `INVALID_ARGUMENT` with this text as its detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// At least one.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Repeated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(out, "{separator}{}: {}", violation.field, violation.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Repeated {}

/// Why a basket has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// Something is beyond what the contract allows; its rules are checked before this is asked.
    OutOfRange(OutOfRange),
    /// The caller gave up.
    Cancelled,
}

impl fmt::Display for Unpriced {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange(what) => what.fmt(out),
            Self::Cancelled => out.write_str("the caller no longer waits for the answer"),
        }
    }
}

impl std::error::Error for Unpriced {}

/// Makes sure that no product and no promotion is named twice.
///
/// # Errors
///
/// What is named twice.
pub fn each_once(lines: &[Line<'_>], promotions: &[Promotion<'_>]) -> Result<(), Repeated> {
    let mut violations = Vec::new();
    if !unique(lines.iter().map(|line| line.product_id)) {
        violations.push(Violation { field: "lines", rule: "lines.unique", message: "each product at most once" });
    }
    if !unique(promotions.iter().map(|promotion| promotion.promotion_id)) {
        let message = "each promotion at most once";
        violations.push(Violation { field: "promotions", rule: "promotions.unique", message });
    }
    if violations.is_empty() { Ok(()) } else { Err(Repeated { violations }) }
}

fn unique<'a>(mut ids: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = HashSet::new();
    ids.all(|id| seen.insert(id))
}

/// Prices a basket.
///
/// The answer does not depend on the order of lines, promotions or codes. `cancelled` is asked about every thousand
/// steps.
///
/// # Errors
///
/// If `cancelled` said so, or the basket is beyond what the contract allows.
pub fn price_basket(basket: &Basket<'_>, cancelled: &dyn Fn() -> bool) -> Result<BasketPrice, Unpriced> {
    limits::check(basket).map_err(Unpriced::OutOfRange)?;
    let offers = Offers::of(basket);
    let budget = if basket.step_budget > 0 { basket.step_budget } else { DEFAULT_STEP_BUDGET };
    let mut work = Work::new(&offers, Steps::new(budget, cancelled));
    let components = components_of(&offers);
    let mut searches: Vec<_> = components.into_iter().map(|each| Search::new(&offers, each, &mut work)).collect();
    let exact = match search(&mut searches, &mut work) {
        Ok(()) => true,
        Err(Ended::Spent) => false,
        Err(Ended::Cancelled) => return Err(Unpriced::Cancelled),
    };
    Ok(answer(&offers, &searches, exact, work.steps.taken))
}

fn search(searches: &mut [Search<'_>], work: &mut Work<'_>) -> Result<(), Ended> {
    searches.iter_mut().try_for_each(|search| search.probe(work))?;
    searches.iter_mut().try_for_each(|search| search.prove(work))
}

fn answer(offers: &Offers, searches: &[Search<'_>], exact: bool, steps: i64) -> BasketPrice {
    let mut decisions = Decisions::of(offers, searches);
    let mut counts = vec![0; offers.given.len()];
    for (offer, applications) in offers.fixed.iter().zip(&decisions.applications) {
        counts[offer.rank] = *applications;
    }
    for (run, units) in offers.runs.iter().zip(&decisions.units) {
        counts[run.rank] = units / run.period();
    }
    let mut discounts = vec![0; offers.given.len()];
    let mut line_discounts = vec![0; offers.lines.len()];
    let mut scratch = Scratch::default();
    for (number, line) in offers.lines.iter().enumerate() {
        let decided = decisions.at(number);
        let rest = settle(offers, number, &decided, &mut scratch, |rank, taken| discounts[rank] += taken);
        line_discounts[line.given] = line.unit * line.quantity - rest;
        for cell in &offers.cells[line.cells.clone()] {
            for laying in offers.layings[cell.layings.clone()].iter().filter(|each| each.source == Source::Percent) {
                counts[laying.rank] += decided.percent_units(offers, cell);
            }
        }
    }
    let applied = offers.given.iter().zip(counts).zip(discounts).filter(|&(_, discount)| discount > 0);
    BasketPrice {
        subtotal: offers.lines.iter().map(|line| line.unit * line.quantity).sum(),
        discount: line_discounts.iter().sum(),
        line_discounts,
        exact,
        steps,
        applied: applied
            .map(|((&promotion, applications), discount)| Applied { promotion, applications, discount })
            .collect(),
    }
}

/// The best combination found, for the basket as a whole.
struct Decisions {
    /// Of each fixed offer.
    applications: Vec<i64>,
    /// Of each run, the units that it uses.
    units: Vec<i64>,
    /// By line: run, units and free units among them.
    used: Vec<(usize, usize, i64, i64)>,
    here: Vec<(i64, i64)>,
}

impl Decisions {
    fn of(offers: &Offers, searches: &[Search<'_>]) -> Self {
        let (mut applications, mut units) = (vec![0; offers.fixed.len()], vec![0; offers.runs.len()]);
        let mut used = Vec::new();
        for search in searches {
            for (each, number) in search.component.fixed.iter().zip(&search.applications) {
                applications[each.offer] = *number;
            }
            for (slot, &number) in search.component.slots.iter().zip(&search.units).filter(|(_, number)| **number > 0) {
                let run = search.component.runs[slot.run].offer;
                let before = units[run];
                units[run] += number;
                let free = offers.runs[run].free_of_first(units[run]) - offers.runs[run].free_of_first(before);
                used.push((slot.line, run, number, free));
            }
        }
        used.sort_unstable();
        Self { applications, units, used, here: vec![(0, 0); offers.runs.len()] }
    }

    fn at(&mut self, line: usize) -> Decided<'_> {
        self.here.fill((0, 0));
        let first = self.used.partition_point(|&(at, ..)| at < line);
        for &(_, run, units, free) in self.used[first..].iter().take_while(|&&(at, ..)| at == line) {
            self.here[run] = (units, free);
        }
        Decided { applications: &self.applications, here: &self.here }
    }
}
