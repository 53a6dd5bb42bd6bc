//! What promotions take off a line once it is decided which units each of them uses: stacking and attribution.

use crate::offers::{Cell, Offers, Source};

/// The decisions that a line is settled by.
pub(crate) struct Decided<'a> {
    /// For each of [`Offers::fixed`] how often it applies.
    pub applications: &'a [i64],
    /// For each of [`Offers::runs`] the units that it uses of the line, and the free ones among them.
    pub here: &'a [(i64, i64)],
}

/// Room to settle a line in, used again and again.
#[derive(Default)]
pub(crate) struct Scratch {
    /// What is left to pay and for how many units, dearest first.
    left: Vec<(i64, i64)>,
    after: Vec<(i64, i64)>,
}

impl Decided<'_> {
    /// How many units of its line the group uses by choice, not by a percentage.
    pub fn units_used(&self, offers: &Offers, cell: &Cell) -> i64 {
        offers.layings[cell.layings.clone()]
            .iter()
            .map(|laying| match laying.source {
                Source::Percent => 0,
                Source::Fixed { offer, .. } => laying.units * self.applications[offer],
                Source::Run { run, .. } => self.here[run].0,
            })
            .sum()
    }

    /// How many units of its line the group's percentage uses.
    pub fn percent_units(&self, offers: &Offers, cell: &Cell) -> i64 {
        offers.lines[cell.line].quantity - self.units_used(offers, cell)
    }
}

/// What is left to pay for a line; `credit` is told, by promotion rank, what each promotion took off.
pub(crate) fn settle(
    offers: &Offers,
    line: usize,
    decided: &Decided<'_>,
    scratch: &mut Scratch,
    mut credit: impl FnMut(usize, i64),
) -> i64 {
    let at = &offers.lines[line];
    scratch.left.clear();
    scratch.left.push((at.unit, at.quantity));
    for cell in &offers.cells[at.cells.clone()] {
        lay(offers, cell, decided, scratch, &mut credit);
    }
    let mut rest: i64 = scratch.left.iter().map(|(price, units)| price * units).sum();
    for amount in &offers.amounts[at.amounts.clone()] {
        if decided.applications[amount.offer] > 0 {
            let taken = amount.minor_units.min(rest);
            rest -= taken;
            credit(amount.rank, taken);
        }
    }
    rest
}

/// Lays a group's benefits on a line's units.
fn lay(
    offers: &Offers,
    cell: &Cell,
    decided: &Decided<'_>,
    scratch: &mut Scratch,
    credit: &mut impl FnMut(usize, i64),
) {
    let Scratch { left, after } = scratch;
    after.clear();
    let mut next = 0;
    let (mut price, mut units) = left[next];
    for laying in &offers.layings[cell.layings.clone()] {
        let mut remaining = match laying.source {
            Source::Percent => decided.percent_units(offers, cell),
            Source::Fixed { offer, .. } => laying.units * decided.applications[offer],
            Source::Run { run, .. } => decided.here[run].1,
        };
        while remaining > 0 {
            if units == 0 {
                next += 1;
                (price, units) = left[next];
            }
            let laid = units.min(remaining);
            let taken = laying.benefit.min(price);
            credit(laying.rank, taken * laid);
            put(after, price - taken, laid);
            units -= laid;
            remaining -= laid;
        }
    }
    if units > 0 {
        put(after, price, units);
    }
    for &(price, units) in &left[next + 1..] {
        put(after, price, units);
    }
    std::mem::swap(left, after);
}

/// Adds units of a price to a list that is kept dearest first.
fn put(list: &mut Vec<(i64, i64)>, price: i64, units: i64) {
    let at = list.iter().rposition(|&(other, _)| other >= price).map_or(0, |before| before + 1);
    match at.checked_sub(1).map(|before| &mut list[before]) {
        Some((same, count)) if *same == price => *count += units,
        _ => list.insert(at, (price, units)),
    }
}

/// How much less a line's discount is than the sum of its effective benefits (see the reference's `components`).
pub(crate) fn loss(offers: &Offers, line: usize, decided: &Decided<'_>, scratch: &mut Scratch) -> i64 {
    let at = &offers.lines[line];
    let settled = at.unit * at.quantity - settle(offers, line, decided, scratch, |_, _| ());
    promise(offers, line, decided) - settled
}

fn promise(offers: &Offers, line: usize, decided: &Decided<'_>) -> i64 {
    let at = &offers.lines[line];
    let room = at.room;
    let mut promised = at.quantity * (at.unit - room);
    for cell in offers.cells[at.cells.clone()].iter().filter(|cell| cell.searched) {
        for laying in &offers.layings[cell.layings.clone()] {
            promised += match laying.source {
                Source::Percent => laying.benefit.min(room) * decided.percent_units(offers, cell),
                Source::Fixed { offer, .. } => {
                    let once = laying.units * laying.benefit.min(room) + laying.amount.min(at.quantity * room);
                    decided.applications[offer] * once
                }
                Source::Run { run, .. } => decided.here[run].1 * room,
            };
        }
    }
    promised
}
