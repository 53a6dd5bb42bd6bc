//! Cuts a basket's choices into components that can be searched one by one.
//!
//! What *effective* benefits and *tight* lines are and which offers are *linked* is written in the reference's
//! `components`. The offers of a basket are at most 64, so a component is a word of bits.

use std::ops::Range;

use crate::offers::{Offers, Source, bits};

/// A `Threshold` or `Bundle` in a component.
pub(crate) struct FixedMove {
    /// Its position in [`Offers::fixed`].
    pub offer: usize,
    /// What one application adds to the discount: effective benefits less the percentages that its units lose by it;
    /// it may be negative.
    pub gain: i64,
    /// For each of the offer's uses the part of `gain` that one of its units brings, rounded up.
    pub unit_gains: Vec<i64>,
}

/// A `BuyGetFree` in a component.
pub(crate) struct RunMove {
    /// Its position in [`Offers::runs`].
    pub offer: usize,
    /// For each of its lines what is gained by a free unit, and lost by a used one.
    pub worth: Vec<(i64, i64)>,
}

/// One decision: how many units of a line a `BuyGetFree` uses.
pub(crate) struct Slot {
    /// Position in the component.
    pub run: usize,
    /// Which of the run's lines.
    pub position: usize,
    pub cell: usize,
    pub line: usize,
    /// The first slot of its line; its number.
    pub first: usize,
    pub closes: bool,
    /// The run's last slot.
    pub last: bool,
    /// How many groups are settled when it is decided: those of its line, if that is tight and it is the last there.
    pub settles: i64,
}

/// A tight line that a component touches, with its slots.
pub(crate) struct TightLine {
    pub line: usize,
    pub slots: Range<usize>,
}

/// Offers that can be decided without looking at others.
pub(crate) struct Component {
    /// By promotion id.
    pub fixed: Vec<FixedMove>,
    /// By group, then promotion id.
    pub runs: Vec<RunMove>,
    /// By line in canonical order, then by run.
    pub slots: Vec<Slot>,
    pub tight: Vec<TightLine>,
}

/// The components in the order of their first offer, fixed offers before runs.
pub(crate) fn components_of(offers: &Offers) -> Vec<Component> {
    let tight = (0..offers.lines.len()).filter(|&line| is_tight(offers, line)).fold(0, |all, line| all | 1 << line);
    connected(offers, tight).into_iter().map(|members| component(offers, tight, members)).collect()
}

fn is_tight(offers: &Offers, line: usize) -> bool {
    let at = &offers.lines[line];
    let (room, whole) = (at.room, at.quantity * at.room);
    let most: i64 = offers.cells[at.cells.clone()]
        .iter()
        .filter(|cell| cell.searched)
        .map(|cell| {
            let layings = &offers.layings[cell.layings.clone()];
            let unit = layings.iter().map(|laying| laying.benefit.min(room)).max().unwrap_or(0);
            let amount = layings.iter().map(|laying| laying.amount.min(whole)).max().unwrap_or(0);
            amount.max(at.quantity * unit)
        })
        .sum();
    most > whole
}

/// The offers of each component; an offer's number is its position in fixed, or in runs after the fixed ones.
fn connected(offers: &Offers, tight: u64) -> Vec<u64> {
    let mut components: Vec<u64> = Vec::new();
    for (number, line) in offers.lines.iter().enumerate() {
        let at_cells = offers.cells[line.cells.clone()].iter().map(|cell| numbers(offers, &cell.layings));
        if tight >> number & 1 == 1 {
            link(&mut components, at_cells.fold(0, |all, at_cell| all | at_cell));
        } else {
            at_cells.for_each(|at_cell| link(&mut components, at_cell));
        }
    }
    components.sort_unstable_by_key(|members| members.trailing_zeros());
    components
}

fn numbers(offers: &Offers, layings: &Range<usize>) -> u64 {
    let number = |source| match source {
        Source::Percent => 0,
        Source::Fixed { offer, .. } => 1 << offer,
        Source::Run { run, .. } => 1 << (offers.fixed.len() + run),
    };
    offers.layings[layings.clone()].iter().fold(0, |all, laying| all | number(laying.source))
}

fn link(components: &mut Vec<u64>, mut linked: u64) {
    if linked == 0 {
        return;
    }
    components.retain(|&members| {
        let apart = members & linked == 0;
        if !apart {
            linked |= members;
        }
        apart
    });
    components.push(linked);
}

fn component(offers: &Offers, tight: u64, members: u64) -> Component {
    let (fixed, runs): (Vec<usize>, Vec<usize>) = bits(members).partition(|&number| number < offers.fixed.len());
    let runs: Vec<RunMove> = runs.into_iter().map(|number| run_move(offers, number - offers.fixed.len())).collect();
    let slots = slots(offers, tight, &runs);
    let mut touched = slots.iter().fold(0_u64, |all, slot| all | 1 << slot.line);
    let mut moves = Vec::with_capacity(fixed.len());
    for offer in fixed {
        let uses = &offers.uses[offers.fixed[offer].uses.clone()];
        touched |= uses.iter().fold(0, |all, each| all | 1 << each.line);
        moves.push(fixed_move(offers, offer));
    }
    let tight = bits(touched & tight)
        .map(|line| {
            let first = slots.iter().position(|slot| slot.line == line).unwrap_or(0);
            let count = slots.iter().filter(|slot| slot.line == line).count();
            TightLine { line, slots: first..first + count }
        })
        .collect();
    Component { fixed: moves, runs, slots, tight }
}

/// What a unit of a cell loses when something else of its group uses it.
fn lost(offers: &Offers, cell: usize) -> i64 {
    let cell = &offers.cells[cell];
    cell.percent.min(offers.lines[cell.line].room)
}

fn run_move(offers: &Offers, offer: usize) -> RunMove {
    let lines = &offers.run_lines[offers.runs[offer].lines.clone()];
    RunMove { offer, worth: lines.iter().map(|at| (offers.lines[at.line].room, lost(offers, at.cell))).collect() }
}

fn fixed_move(offers: &Offers, offer: usize) -> FixedMove {
    let uses = &offers.uses[offers.fixed[offer].uses.clone()];
    let (mut gain, mut unit_gains) = (0, Vec::with_capacity(uses.len()));
    for each in uses {
        let at = &offers.lines[each.line];
        let amount = each.amount.min(at.quantity * at.room);
        let part = each.units * (each.benefit.min(at.room) - lost(offers, each.cell)) + amount;
        gain += part;
        unit_gains.push(-(-part).div_euclid(each.units));
    }
    FixedMove { offer, gain, unit_gains }
}

fn slots(offers: &Offers, tight: u64, runs: &[RunMove]) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (run, each) in runs.iter().enumerate() {
        let lines = &offers.run_lines[offers.runs[each.offer].lines.clone()];
        slots.extend(lines.iter().enumerate().map(|(position, at)| {
            let last = position + 1 == lines.len();
            Slot { run, position, cell: at.cell, line: at.line, first: 0, closes: false, last, settles: 0 }
        }));
    }
    slots.sort_unstable_by_key(|slot| (slot.line, slot.run));
    for at in 0..slots.len() {
        let line = slots[at].line;
        slots[at].first = if at > 0 && slots[at - 1].line == line { slots[at - 1].first } else { at };
        slots[at].closes = slots.get(at + 1).is_none_or(|next| next.line != line);
        if slots[at].closes && tight >> line & 1 == 1 {
            slots[at].settles = i64::try_from(offers.lines[line].cells.len()).expect("a basket has at most 64 groups");
        }
    }
    slots
}
