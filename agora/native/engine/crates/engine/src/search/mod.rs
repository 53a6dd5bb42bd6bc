//! The exact search for one component's best combination: branch and bound, depth first, with a step budget.
//!
//! Which nodes there are, their order, their bounds and what a step is, is written in the reference's `search` and is
//! the same here, or the steps would differ. How a node is computed is not:
//!
//! - nothing is copied from node to node: units left and decisions lie in a few lists that are changed on the way down
//!   and changed back on the way up, so the loop allocates nothing (the table of nodes [`seen`] may grow);
//! - a child's bound is computed when it is its turn. By then the floor may have risen, and a child that the reference
//!   drops later is dropped at once; either way it costs no step;
//! - a run's bound comes from tables ([`rows`]) that are renewed only from the last line whose units left have changed;
//! - a tight line is settled without copying and without text ([`crate::settlement`]).

mod rows;
mod seen;
mod slots;
mod steps;

use crate::components::{Component, FixedMove};
use crate::offers::Offers;
use crate::settlement::{Decided, Scratch, loss};
use rows::Rows;
use seen::Seen;
use slots::Frame;
pub(crate) use steps::{Ended, Steps};

/// Below every sum of gains, also after gains were added to it.
const NEVER: i64 = -(1 << 60);

/// What the searches of a basket share: the state of the node in work, and room to compute in.
pub(crate) struct Work<'c> {
    pub steps: Steps<'c>,
    /// Units left in each cell.
    left: Vec<i64>,
    /// How often each fixed offer applies.
    applications: Vec<i64>,
    /// By run of the basket: units used and free units among them, on the line that is being settled.
    here: Vec<(i64, i64)>,
    scratch: Scratch,
    seen: Seen,
    frames: Vec<Frame>,
}

impl<'c> Work<'c> {
    pub fn new(offers: &Offers, steps: Steps<'c>) -> Self {
        Self {
            steps,
            left: offers.cells.iter().map(|cell| offers.lines[cell.line].quantity).collect(),
            applications: vec![0; offers.fixed.len()],
            here: vec![(0, 0); offers.runs.len()],
            scratch: Scratch::default(),
            seen: Seen::default(),
            frames: Vec::new(),
        }
    }
}

/// Call `probe`, then `prove`; after either, the best is legal and at least as good as deciding nothing.
pub(crate) struct Search<'o> {
    offers: &'o Offers,
    pub component: Component,
    /// For each of the component's fixed offers how often it applies in the best combination.
    pub applications: Vec<i64>,
    /// For each of its slots the units used.
    pub units: Vec<i64>,
    /// Only a bound above it is worth opening.
    floor: i64,
    /// At each fixed level, for each cell the most that a unit of it brings to an offer yet to be decided.
    unit_gains: Vec<Vec<(usize, i64)>>,
    /// Of each run, for the units that the fixed offers leave.
    rows: Vec<Rows>,
    /// Units that each run has used: modulo its period where it has no limit, zero when it is over.
    used: Vec<i64>,
    /// At each slot that opens a line, the runs that are begun and not over.
    active: Vec<Vec<usize>>,
}

impl<'o> Search<'o> {
    pub fn new(offers: &'o Offers, component: Component, work: &mut Work<'_>) -> Self {
        let mut search = Self {
            offers,
            applications: vec![0; component.fixed.len()],
            units: vec![0; component.slots.len()],
            floor: -1,
            unit_gains: unit_gains(offers, &component),
            rows: component.runs.iter().map(|run| Rows::new(offers, run)).collect(),
            used: vec![0; component.runs.len()],
            active: slots::active_runs(&component),
            component,
        };
        for line in 0..search.component.tight.len() {
            search.floor -= search.nothing_lost(line, work);
        }
        search
    }

    /// Goes straight down to the child with the highest bound, of equals the one with the larger number.
    pub fn probe(&mut self, work: &mut Work<'_>) -> Result<(), Ended> {
        let ended = self.probe_down(work);
        for cell in self.offers.cells.iter().zip(&mut work.left) {
            *cell.1 = self.offers.lines[cell.0.line].quantity;
        }
        for each in &self.component.fixed {
            work.applications[each.offer] = 0;
        }
        self.used.fill(0);
        ended
    }

    fn probe_down(&mut self, work: &mut Work<'_>) -> Result<(), Ended> {
        let mut gained = 0;
        let mut bound = self.fixed_bound(0, gained, work);
        for level in 0..self.component.fixed.len() {
            work.steps.take(1)?;
            let most = self.fits(&self.component.fixed[level], work);
            work.steps.take((most + 1) * self.step_of_child())?;
            let gain = self.component.fixed[level].gain;
            let mut best = (NEVER, 0);
            self.apply(level, most, work);
            for number in (0..=most).rev() {
                let child = self.fixed_bound(level + 1, gained + number * gain, work);
                if child > best.0 {
                    best = (child, number);
                }
                if number > 0 {
                    self.apply(level, -1, work);
                }
            }
            self.apply(level, best.1, work);
            work.applications[self.component.fixed[level].offer] = best.1;
            gained += best.1 * gain;
            bound = best.0;
        }
        let root = self.slot_root(bound, work);
        self.probe_slots(root, work)
    }

    /// Looks at all combinations that may be better than the best.
    pub fn prove(&mut self, work: &mut Work<'_>) -> Result<(), Ended> {
        let bound = self.fixed_bound(0, 0, work);
        self.prove_fixed(0, 0, bound, work)
    }

    /// `bound` is above the floor or the node is dropped.
    fn prove_fixed(&mut self, level: usize, gained: i64, bound: i64, work: &mut Work<'_>) -> Result<(), Ended> {
        if bound <= self.floor {
            return Ok(());
        }
        let Some(each) = self.component.fixed.get(level) else {
            let root = self.slot_root(bound, work);
            return self.prove_slots(root, work);
        };
        work.steps.take(1)?;
        let (offer, gain) = (each.offer, each.gain);
        let most = self.fits(each, work);
        work.steps.take((most + 1) * self.step_of_child())?;
        self.apply(level, most, work);
        for number in (0..=most).rev() {
            work.applications[offer] = number;
            let gained = gained + number * gain;
            let bound = self.fixed_bound(level + 1, gained, work);
            self.prove_fixed(level + 1, gained, bound, work)?;
            if number > 0 {
                self.apply(level, -1, work);
            }
        }
        Ok(())
    }

    /// Steps that one number of a fixed offer costs.
    fn step_of_child(&self) -> i64 {
        1 + i64::try_from(self.component.runs.len()).expect("a basket has at most 64 runs")
    }

    /// How often an offer can apply with the units left.
    fn fits(&self, each: &FixedMove, work: &Work<'_>) -> i64 {
        let offer = &self.offers.fixed[each.offer];
        let uses = &self.offers.uses[offer.uses.clone()];
        uses.iter().map(|each| work.left[each.cell] / each.units).min().map_or(0, |most| most.min(offer.limit))
    }

    /// Takes the units of so many applications more, or gives them back.
    fn apply(&self, level: usize, number: i64, work: &mut Work<'_>) {
        let offer = &self.offers.fixed[self.component.fixed[level].offer];
        for each in &self.offers.uses[offer.uses.clone()] {
            work.left[each.cell] -= number * each.units;
        }
    }

    /// The bound of a node whose offers before `level` are decided.
    fn fixed_bound(&mut self, level: usize, gained: i64, work: &Work<'_>) -> i64 {
        let undecided = self.component.fixed[level..].iter().filter(|each| each.gain > 0);
        let alone: i64 = undecided.map(|each| each.gain * self.fits(each, work)).sum();
        let by_unit: i64 = self.unit_gains[level].iter().map(|&(cell, gain)| work.left[cell] * gain).sum();
        let runs: i64 = self.rows.iter_mut().map(|rows| rows.renew(&work.left)).sum();
        gained + alone.min(by_unit) + runs
    }

    /// The bound where the slots begin: the tables are those of what is left, the tight lines without slots are settled.
    fn slot_root(&mut self, bound: i64, work: &mut Work<'_>) -> i64 {
        for rows in &mut self.rows {
            rows.renew(&work.left);
        }
        let without = |line: &usize| self.component.tight[*line].slots.is_empty();
        let lines = (0..self.component.tight.len()).filter(without);
        bound - lines.map(|line| self.nothing_lost(line, work)).sum::<i64>()
    }

    /// What a tight line loses if its runs use nothing.
    fn nothing_lost(&self, line: usize, work: &mut Work<'_>) -> i64 {
        let tight = &self.component.tight[line];
        for slot in &self.component.slots[tight.slots.clone()] {
            work.here[self.component.runs[slot.run].offer] = (0, 0);
        }
        self.loss(tight.line, work)
    }

    fn loss(&self, line: usize, work: &mut Work<'_>) -> i64 {
        let Work { applications, here, scratch, .. } = work;
        loss(self.offers, line, &Decided { applications, here }, scratch)
    }

    /// Keeps the node in work as the best.
    fn keep(&mut self, bound: i64, floor: i64, work: &Work<'_>) {
        debug_assert!(bound > self.floor, "only what is better is kept");
        self.floor = floor;
        for (number, each) in self.applications.iter_mut().zip(&self.component.fixed) {
            *number = work.applications[each.offer];
        }
        for (units, frame) in self.units.iter_mut().zip(&work.frames) {
            *units = frame.number;
        }
    }
}

/// At each fixed level, for each cell the most that a unit of it brings to an offer from there on, or zero.
fn unit_gains(offers: &Offers, component: &Component) -> Vec<Vec<(usize, i64)>> {
    let mut levels = vec![Vec::new()];
    let mut best: Vec<(usize, i64)> = Vec::new();
    for each in component.fixed.iter().rev() {
        let uses = &offers.uses[offers.fixed[each.offer].uses.clone()];
        for (used, &gain) in uses.iter().zip(&each.unit_gains) {
            match best.iter_mut().find(|(cell, _)| *cell == used.cell) {
                Some((_, most)) => *most = gain.max(*most),
                None => best.push((used.cell, gain.max(0))),
            }
        }
        levels.push(best.clone());
    }
    levels.reverse();
    levels
}
