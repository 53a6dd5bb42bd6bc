//! The lower half of the search: how many units of each line each run uses.

use super::rows::{index, signed};
use super::{Ended, NEVER, Search, Work};
use crate::components::Component;

/// What is remembered of the node in work at one depth.
#[derive(Clone, Copy, Default)]
pub(super) struct Frame {
    bound: i64,
    /// The number in work, which counts down.
    pub number: i64,
    /// Free units among them.
    free: i64,
    /// What the run had used before.
    used: i64,
}

/// At each slot that opens a line, the runs that are begun and not over.
pub(super) fn active_runs(component: &Component) -> Vec<Vec<usize>> {
    let mut active = vec![false; component.runs.len()];
    let mut found = Vec::with_capacity(component.slots.len());
    for (depth, slot) in component.slots.iter().enumerate() {
        let opens = slot.first == depth;
        let runs = active.iter().enumerate().filter(|&(_, &begun)| opens && begun).map(|(run, _)| run);
        found.push(runs.collect());
        active[slot.run] = !slot.last;
    }
    found
}

impl Search<'_> {
    /// From the slots' root straight down; may end where a run cannot be completed.
    pub(super) fn probe_slots(&mut self, root: i64, work: &mut Work<'_>) -> Result<(), Ended> {
        let mut bound = root;
        work.frames.clear();
        for depth in 0..self.component.slots.len() {
            work.steps.take(1)?;
            let most = self.most_units(depth, work);
            work.steps.take((most + 1) * (1 + self.component.slots[depth].settles))?;
            work.frames.push(Frame {
                bound,
                number: most + 1,
                free: 0,
                used: self.used[self.component.slots[depth].run],
            });
            let mut best = None;
            while let Some(child) = self.next_child(depth, best.map_or(NEVER / 2, |(bound, _)| bound), work) {
                best = Some((child, work.frames[depth]));
            }
            let Some((child, frame)) = best else { return Ok(()) };
            work.frames[depth] = frame;
            self.descend(depth, work);
            bound = child;
        }
        work.steps.take(1)?;
        if bound > self.floor {
            self.keep(bound, bound - 1, work);
        }
        Ok(())
    }

    /// Looks at everything below a node whose fixed offers are all decided.
    pub(super) fn prove_slots(&mut self, root: i64, work: &mut Work<'_>) -> Result<(), Ended> {
        if root <= self.floor {
            return Ok(());
        }
        work.seen.clear();
        work.frames.clear();
        if !self.open(root, work)? {
            return Ok(());
        }
        while let Some(depth) = work.frames.len().checked_sub(1) {
            if let Some(child) = self.next_child(depth, self.floor, work) {
                self.descend(depth, work);
                if self.open(child, work)? {
                    continue;
                }
                self.ascend(depth, work);
            } else {
                work.frames.pop();
                if let Some(above) = depth.checked_sub(1) {
                    self.ascend(above, work);
                }
            }
        }
        Ok(())
    }

    /// Opens the node below the last frame; whether it has children to look at.
    fn open(&mut self, bound: i64, work: &mut Work<'_>) -> Result<bool, Ended> {
        work.steps.take(1)?;
        let depth = work.frames.len();
        let Some(slot) = self.component.slots.get(depth) else {
            self.keep(bound, bound, work);
            return Ok(false);
        };
        if depth > 0 && slot.first == depth {
            let number = |units| u16::try_from(units).expect("runs and depths are below 4,100");
            let used = self.active[depth].iter().map(|&run| number(self.used[run]));
            let depth = u16::try_from(depth).expect("there are at most 3,200 slots");
            if work.seen.surpasses(std::iter::once(depth).chain(used), bound) {
                return Ok(false);
            }
        }
        let (run, settles) = (slot.run, slot.settles);
        let most = self.most_units(depth, work);
        work.steps.take((most + 1) * (1 + settles))?;
        work.frames.push(Frame { bound, number: most + 1, free: 0, used: self.used[run] });
        Ok(true)
    }

    fn most_units(&self, depth: usize, work: &Work<'_>) -> i64 {
        let slot = &self.component.slots[depth];
        let (left, limit) = (work.left[slot.cell], self.rows[slot.run].max_units);
        if limit > 0 { left.min(limit - self.used[slot.run]) } else { left }
    }

    /// The bound of the next child above the floor; the frame then says which it is.
    fn next_child(&self, depth: usize, floor: i64, work: &mut Work<'_>) -> Option<i64> {
        let slot = &self.component.slots[depth];
        let rows = &self.rows[slot.run];
        let (worth, lost) = rows.worth(slot.position);
        let Frame { bound, number: begun, used, .. } = work.frames[depth];
        let used = index(used);
        let free = rows.free_from(used);
        let after = rows.row(slot.position + 1);
        let before = bound - rows.row(slot.position)[used % rows.size];
        let mut column = (used + index(begun)) % rows.size;
        for units in (0..begun).rev() {
            column = column.checked_sub(1).unwrap_or(rows.size - 1);
            let free = free[index(units)] - free[0];
            let mut child = before + worth * free - lost * units + after[column];
            if child <= floor {
                continue;
            }
            let frame = &mut work.frames[depth];
            (frame.number, frame.free) = (units, free);
            if slot.settles > 0 {
                child -= self.slot_loss(depth, work);
                if child <= floor {
                    continue;
                }
            }
            return Some(child);
        }
        work.frames[depth].number = 0;
        None
    }

    /// What the tight line of a slot, its last, loses.
    fn slot_loss(&self, depth: usize, work: &mut Work<'_>) -> i64 {
        let slot = &self.component.slots[depth];
        for (slot, frame) in self.component.slots[slot.first..=depth].iter().zip(&work.frames[slot.first..=depth]) {
            work.here[self.component.runs[slot.run].offer] = (frame.number, frame.free);
        }
        self.loss(slot.line, work)
    }

    /// Takes the units of the frame's number.
    fn descend(&mut self, depth: usize, work: &mut Work<'_>) {
        let (slot, frame) = (&self.component.slots[depth], &work.frames[depth]);
        let rows = &self.rows[slot.run];
        work.left[slot.cell] -= frame.number;
        let now = frame.used + frame.number;
        self.used[slot.run] = match (slot.last, rows.max_units) {
            (true, _) => 0,
            (false, 0) => signed(index(now) % rows.period),
            (false, _) => now,
        };
    }

    /// Gives the units of the frame's number back.
    fn ascend(&mut self, depth: usize, work: &mut Work<'_>) {
        let (slot, frame) = (&self.component.slots[depth], &work.frames[depth]);
        work.left[slot.cell] += frame.number;
        self.used[slot.run] = frame.used;
    }
}
