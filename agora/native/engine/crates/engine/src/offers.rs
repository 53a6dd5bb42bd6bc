//! What promotions can do to one basket: their terms made into plain numbers over its lines.
//!
//! Lines are taken in canonical order and numbered; a set of lines is a word of 64 bits. Promotions are told apart by
//! their *rank*, the position of their id among all ids, so that the search compares no text. Everything lies in a few
//! flat lists; a *cell* is a line as one group sees it and its number the position in [`Offers::cells`].

use std::cmp::Reverse;
use std::ops::Range;

use hashbrown::HashMap;

use crate::basket::Basket;
use crate::money::{share, split};
use crate::promotions::{Line, ProductSet, Promotion, Terms};

/// A line of the basket in canonical order: dearest unit first, then by product id.
pub(crate) struct OrderedLine {
    /// Its position in the request.
    pub given: usize,
    pub unit: i64,
    pub quantity: i64,
    /// Its cells, by group.
    pub cells: Range<usize>,
    /// Its part of [`Offers::amounts`].
    pub amounts: Range<usize>,
    /// What is left of the unit price when the percentages that are no choice are taken off.
    pub room: i64,
}

/// What one group can do to one line.
pub(crate) struct Cell {
    pub line: usize,
    /// In the order in which they are laid: the largest benefit first, of equals the smallest promotion id.
    pub layings: Range<usize>,
    /// What the group's percentage takes off a unit; zero where it has none.
    pub percent: i64,
    /// Whether there is something to decide, not only a percentage.
    pub searched: bool,
}

/// Who gives a benefit to units of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Percent,
    /// A position in [`Offers::fixed`] and one in [`Offers::uses`].
    Fixed {
        offer: usize,
        at: usize,
    },
    /// A position in [`Offers::runs`] and one in [`Offers::run_lines`].
    Run {
        run: usize,
        at: usize,
    },
}

/// A benefit that a promotion may give to units of a line.
pub(crate) struct Laying {
    line: usize,
    group: usize,
    pub rank: usize,
    pub benefit: i64,
    /// Taken off the line as a whole.
    pub amount: i64,
    /// Units that one application uses (of a fixed offer).
    pub units: i64,
    pub source: Source,
}

/// An amount that a threshold takes off a line.
pub(crate) struct Amount {
    line: usize,
    pub rank: usize,
    pub offer: usize,
    pub minor_units: i64,
}

/// One application of a fixed offer on a line.
pub(crate) struct Use {
    pub line: usize,
    pub cell: usize,
    pub units: i64,
    pub benefit: i64,
    pub amount: i64,
}

/// A `Threshold` (at most once) or a `Bundle`: the units of an application are given, only their number is a choice.
pub(crate) struct FixedOffer {
    pub rank: usize,
    pub limit: i64,
    pub uses: Range<usize>,
}

/// A line of a run.
pub(crate) struct RunLine {
    pub line: usize,
    pub cell: usize,
}

/// A `BuyGetFree` over lines in canonical order.
pub(crate) struct RunOffer {
    pub rank: usize,
    pub lines: Range<usize>,
    pub buy: i64,
    pub free: i64,
    /// Zero where its limit cannot matter.
    pub max_units: i64,
}

impl RunOffer {
    pub fn period(&self) -> i64 {
        self.buy + self.free
    }

    /// How many of the first `units` cost nothing.
    pub fn free_of_first(&self, units: i64) -> i64 {
        let period = self.period();
        units / period * self.free + (units % period - self.buy).max(0)
    }
}

/// All choices of a basket.
pub(crate) struct Offers {
    pub lines: Vec<OrderedLine>,
    /// The positions of promotions in the request, by rank.
    pub given: Vec<usize>,
    /// By promotion id.
    pub fixed: Vec<FixedOffer>,
    pub uses: Vec<Use>,
    /// By group, then promotion id.
    pub runs: Vec<RunOffer>,
    pub run_lines: Vec<RunLine>,
    /// By line, then group.
    pub cells: Vec<Cell>,
    pub layings: Vec<Laying>,
    /// By line, then promotion id.
    pub amounts: Vec<Amount>,
}

impl Offers {
    /// The offers of those promotions that need no coupon, or one of the basket's.
    pub fn of(basket: &Basket<'_>) -> Self {
        let mut order: Vec<usize> = (0..basket.lines.len()).collect();
        order.sort_unstable_by_key(|&given| (Reverse(basket.lines[given].unit), basket.lines[given].product_id));
        let mut by_id: Vec<usize> = (0..basket.promotions.len())
            .filter(|&given| {
                let code = basket.promotions[given].coupon_code;
                code.is_empty() || basket.coupon_codes.iter().any(|known| known == code)
            })
            .collect();
        by_id.sort_unstable_by_key(|&given| basket.promotions[given].promotion_id);

        let mut offers = Self {
            lines: order.iter().map(|&given| ordered(given, &basket.lines[given])).collect(),
            given: by_id,
            fixed: Vec::new(),
            uses: Vec::new(),
            runs: Vec::new(),
            run_lines: Vec::new(),
            cells: Vec::new(),
            layings: Vec::new(),
            amounts: Vec::new(),
        };
        let index = LineIndex::of(basket, &order);
        let mut in_groups: Vec<usize> = (0..offers.given.len()).collect();
        in_groups.sort_by_key(|&rank| basket.promotions[offers.given[rank]].group());
        let mut percents = vec![(0, 0); order.len()];
        let mut group = 0;
        for (at, &rank) in in_groups.iter().enumerate() {
            let promotion = &basket.promotions[offers.given[rank]];
            offers.add(promotion, rank, group, &index, &mut percents);
            let next = in_groups.get(at + 1).map(|&rank| basket.promotions[offers.given[rank]].group());
            if next != Some(promotion.group()) {
                offers.lay_percents(group, &mut percents);
                group += 1;
            }
        }
        offers.sort();
        offers
    }

    fn add(
        &mut self,
        promotion: &Promotion<'_>,
        rank: usize,
        group: usize,
        index: &LineIndex<'_>,
        percents: &mut [(i64, usize)],
    ) {
        match promotion.terms {
            Terms::PercentOff { products, basis_points } => {
                for line in bits(index.of_set(&products)) {
                    let benefit = share(self.lines[line].unit, basis_points);
                    // They come in order of promotion id, so the first of equals stays.
                    if benefit > percents[line].0 {
                        percents[line] = (benefit, rank);
                    }
                }
            }
            Terms::BuyGetFree { products, buy, free, max_applications } => {
                self.add_run(rank, group, index.of_set(&products), (buy, free, max_applications));
            }
            Terms::Bundle { product_ids, price, max_applications } => {
                self.add_bundle(
                    rank,
                    group,
                    index.of_products(product_ids),
                    (product_ids.len(), price, max_applications),
                );
            }
            Terms::Threshold { products, minimum, amount, basis_points } => {
                self.add_threshold(rank, group, index.of_set(&products), (minimum, amount, basis_points));
            }
        }
    }

    /// Lays what each line's best percentage of a group takes off, and forgets it.
    fn lay_percents(&mut self, group: usize, percents: &mut [(i64, usize)]) {
        for (line, percent) in percents.iter_mut().enumerate() {
            let (benefit, rank) = std::mem::take(percent);
            if benefit > 0 {
                self.layings.push(Laying { line, group, rank, benefit, amount: 0, units: 0, source: Source::Percent });
            }
        }
    }

    fn add_run(&mut self, rank: usize, group: usize, lines: u64, (buy, free, max_applications): (i64, i64, i64)) {
        let units: i64 = bits(lines).map(|line| self.lines[line].quantity).sum();
        if units < buy + free {
            return;
        }
        let (run, first) = (self.runs.len(), self.run_lines.len());
        for line in bits(lines) {
            let source = Source::Run { run, at: self.run_lines.len() };
            let benefit = self.lines[line].unit;
            self.layings.push(Laying { line, group, rank, benefit, amount: 0, units: 0, source });
            self.run_lines.push(RunLine { line, cell: 0 });
        }
        let max_units = max_applications * (buy + free);
        let max_units = if max_units < units { max_units } else { 0 };
        self.runs.push(RunOffer { rank, lines: first..self.run_lines.len(), buy, free, max_units });
    }

    fn add_bundle(&mut self, rank: usize, group: usize, lines: u64, (products, price, max): (usize, i64, i64)) {
        let worth: i64 = bits(lines).map(|line| self.lines[line].unit).sum();
        let (saved, fewest) = (worth - price, bits(lines).map(|line| self.lines[line].quantity).min());
        let Some(fewest) = fewest.filter(|_| saved > 0 && bits(lines).count() == products) else { return };
        let first = self.uses.len();
        let units = bits(lines).map(|line| self.lines[line].unit);
        let parts = bits(lines).zip(split(saved, units));
        self.uses.extend(parts.map(|(line, benefit)| Use { line, cell: 0, units: 1, benefit, amount: 0 }));
        self.add_fixed(rank, group, if max > 0 { fewest.min(max) } else { fewest }, first);
    }

    fn add_threshold(&mut self, rank: usize, group: usize, lines: u64, (minimum, amount, points): (i64, i64, i64)) {
        let subtotals = bits(lines).map(|line| self.lines[line].unit * self.lines[line].quantity);
        let cost: i64 = subtotals.clone().sum();
        if cost < minimum || cost == 0 {
            return;
        }
        let first = self.uses.len();
        let parts = bits(lines).zip(split(amount.min(cost), subtotals));
        self.uses.extend(parts.map(|(line, amount)| {
            let OrderedLine { unit, quantity, .. } = self.lines[line];
            Use { line, cell: 0, units: quantity, benefit: share(unit, points), amount }
        }));
        self.add_fixed(rank, group, 1, first);
    }

    fn add_fixed(&mut self, rank: usize, group: usize, limit: i64, first: usize) {
        let uses = first..self.uses.len();
        for at in uses.clone() {
            let &Use { line, units, benefit, amount, .. } = &self.uses[at];
            // Which offer it is, is known when all are sorted.
            let source = Source::Fixed { offer: 0, at };
            self.layings.push(Laying { line, group, rank, benefit, amount, units, source });
        }
        self.fixed.push(FixedOffer { rank, limit, uses });
    }

    /// Brings everything into its order and tells the parts where they ended up.
    fn sort(&mut self) {
        self.fixed.sort_unstable_by_key(|offer| offer.rank);
        let mut position = vec![0; self.given.len()];
        for (at, offer) in self.fixed.iter().enumerate() {
            position[offer.rank] = at;
        }
        self.layings.sort_unstable_by_key(|laying| (laying.line, laying.group, Reverse(laying.benefit), laying.rank));
        for laying in &mut self.layings {
            if let Source::Fixed { offer, .. } = &mut laying.source {
                *offer = position[laying.rank];
                if laying.amount > 0 {
                    let (line, rank, minor_units) = (laying.line, laying.rank, laying.amount);
                    self.amounts.push(Amount { line, rank, offer: *offer, minor_units });
                }
            }
        }
        self.amounts.sort_unstable_by_key(|amount| (amount.line, amount.rank));
        self.cut_into_cells();
        let mut first = 0;
        for (number, line) in self.lines.iter_mut().enumerate() {
            let count = self.amounts[first..].iter().take_while(|amount| amount.line == number).count();
            line.amounts = first..first + count;
            first += count;
            let certain: i64 = self.cells[line.cells.clone()].iter().filter(|c| !c.searched).map(|c| c.percent).sum();
            line.room = (line.unit - certain).max(0);
        }
    }

    fn cut_into_cells(&mut self) {
        let mut first = 0;
        for (number, line) in self.lines.iter_mut().enumerate() {
            line.cells = self.cells.len()..self.cells.len();
            while let Some(laying) = self.layings.get(first).filter(|laying| laying.line == number) {
                let group = laying.group;
                let count = self.layings[first..]
                    .iter()
                    .take_while(|laying| (laying.line, laying.group) == (number, group))
                    .count();
                let cell = self.cells.len();
                let mut made = Cell { line: number, layings: first..first + count, percent: 0, searched: false };
                for laying in &self.layings[made.layings.clone()] {
                    match laying.source {
                        Source::Percent => made.percent = laying.benefit,
                        Source::Fixed { at, .. } => self.uses[at].cell = cell,
                        Source::Run { at, .. } => self.run_lines[at].cell = cell,
                    }
                    made.searched |= laying.source != Source::Percent;
                }
                self.cells.push(made);
                first += count;
            }
            line.cells.end = self.cells.len();
        }
    }
}

fn ordered(given: usize, line: &Line<'_>) -> OrderedLine {
    OrderedLine { given, unit: line.unit, quantity: line.quantity, cells: 0..0, amounts: 0..0, room: 0 }
}

/// The positions of the ones in a word, ascending.
pub(crate) fn bits(word: u64) -> impl Iterator<Item = usize> + Clone {
    let mut rest = word;
    std::iter::from_fn(move || {
        (rest != 0).then(|| {
            let first = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            first
        })
    })
}

/// Which lines are of a product or a category.
struct LineIndex<'a> {
    all: u64,
    products: HashMap<&'a str, u64>,
    categories: HashMap<&'a str, u64>,
}

impl<'a> LineIndex<'a> {
    fn of(basket: &Basket<'a>, order: &[usize]) -> Self {
        let lines = || order.iter().enumerate().map(|(number, &given)| (1_u64 << number, &basket.lines[given]));
        let mut products = HashMap::with_capacity(order.len());
        let mut categories = HashMap::new();
        for (bit, line) in lines() {
            *products.entry(line.product_id).or_insert(0) |= bit;
            for category in line.categories {
                *categories.entry(category.as_str()).or_insert(0) |= bit;
            }
        }
        Self { all: lines().fold(0, |all, (bit, _)| all | bit), products, categories }
    }

    fn of_set(&self, set: &ProductSet<'_>) -> u64 {
        if set.categories.is_empty() && set.products.is_empty() {
            return self.all;
        }
        let categories = set.categories.iter().filter_map(|category| self.categories.get(category.as_str()));
        categories.fold(self.of_products(set.products), |lines, of| lines | of)
    }

    fn of_products(&self, product_ids: &[String]) -> u64 {
        product_ids.iter().filter_map(|product| self.products.get(product.as_str())).fold(0, |lines, of| lines | of)
    }
}
