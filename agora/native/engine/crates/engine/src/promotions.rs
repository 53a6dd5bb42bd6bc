//! Lines, promotions and what becomes of them.
//!
//! What a promotion means, how promotions stack and which combination is the cheapest is written in the reference,
//! `agora.pricing.domain.promotions`. Ids compare as UTF-8 bytes.

/// A product with a quantity; its units all have the same price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Unique within a basket.
    pub product_id: &'a str,
    /// From 1 to 100.
    pub quantity: i64,
    /// Minor units for one unit, before promotions.
    pub unit: i64,
    /// In any order, also more than once.
    pub categories: &'a [String],
}

impl Line<'_> {
    /// All units, before promotions.
    #[must_use]
    pub fn subtotal(&self) -> i64 {
        self.unit * self.quantity
    }
}

/// Products of any of the categories and those named; nothing said means all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProductSet<'a> {
    /// In any order, also more than once.
    pub categories: &'a [String],
    /// In any order, also more than once.
    pub products: &'a [String],
}

impl ProductSet<'_> {
    /// Whether the line's product is one of these.
    #[must_use]
    pub fn contains(&self, line: &Line<'_>) -> bool {
        (self.categories.is_empty() && self.products.is_empty())
            || self.products.iter().any(|product| product == line.product_id)
            || line.categories.iter().any(|category| self.categories.contains(category))
    }
}

/// How a promotion makes a basket cheaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms<'a> {
    /// So much off every unit of a set that no other promotion of its group uses.
    PercentOff {
        /// The set.
        products: ProductSet<'a>,
        /// From 1 to 10,000.
        basis_points: i64,
    },
    /// Of every `buy + free` units of a set, the `free` cheapest cost nothing.
    BuyGetFree {
        /// The set.
        products: ProductSet<'a>,
        /// From 1 to 20.
        buy: i64,
        /// From 1 to 20.
        free: i64,
        /// At most 100; zero: as often as there are units.
        max_applications: i64,
    },
    /// One unit of each product for a price together.
    Bundle {
        /// Each once.
        product_ids: &'a [String],
        /// Minor units.
        price: i64,
        /// At most 100; zero: as often as there are units.
        max_applications: i64,
    },
    /// Something off when all units of a set cost at least a minimum. Exactly one of `amount` and `basis_points` is
    /// positive.
    Threshold {
        /// The set.
        products: ProductSet<'a>,
        /// Minor units.
        minimum: i64,
        /// Minor units.
        amount: i64,
        /// At most 10,000.
        basis_points: i64,
    },
}

/// A rule that makes a basket cheaper; it is allowed not to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion<'a> {
    /// Unique within a request.
    pub promotion_id: &'a str,
    /// What it does.
    pub terms: Terms<'a>,
    /// A unit is used by at most one promotion of a group. Empty: a group of its own.
    pub exclusivity_group: &'a str,
    /// Only with this coupon. Empty: for everyone.
    pub coupon_code: &'a str,
}

impl<'a> Promotion<'a> {
    /// What groups are told apart and ordered by.
    pub(crate) fn group(&self) -> (&'a str, &'a str) {
        (self.exclusivity_group, if self.exclusivity_group.is_empty() { self.promotion_id } else { "" })
    }
}

/// What a promotion did to a basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its position among the promotions that were given.
    pub promotion: usize,
    /// How often it was used; of a percentage, on how many units.
    pub applications: i64,
    /// Minor units, positive.
    pub discount: i64,
}

/// A basket's price. The total is never negative nor above the subtotal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasketPrice {
    /// Minor units, in the order in which the lines were given.
    pub line_discounts: Vec<i64>,
    /// Minor units before promotions.
    pub subtotal: i64,
    /// Minor units that promotions take off.
    pub discount: i64,
    /// False if the budget ended before it was proven that nothing is cheaper; the price is then the best found.
    pub exact: bool,
    /// The search steps taken, the same in every implementation.
    pub steps: i64,
    /// By promotion id, ascending; only those that took something off.
    pub applied: Vec<Applied>,
}

impl BasketPrice {
    /// Minor units to pay.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.subtotal - self.discount
    }
}
