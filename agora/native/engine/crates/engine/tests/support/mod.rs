//! Baskets made at random, within what the contract allows.

use engine::basket::{Basket, price_basket};
use engine::promotions::{BasketPrice, Line, ProductSet, Promotion, Terms};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

/// A line with text of its own.
#[derive(Clone, Debug)]
pub struct OwnedLine {
    pub product_id: String,
    pub quantity: i64,
    pub unit: i64,
    pub categories: Vec<String>,
}

/// A promotion with text of its own: `kind` chooses what the numbers mean.
#[derive(Clone, Debug)]
pub struct OwnedPromotion {
    pub promotion_id: String,
    pub group: String,
    pub coupon_code: String,
    kind: u8,
    categories: Vec<String>,
    products: Vec<String>,
    numbers: (i64, i64, i64),
}

/// A basket with text of its own.
#[derive(Clone, Debug)]
pub struct OwnedBasket {
    pub lines: Vec<OwnedLine>,
    pub promotions: Vec<OwnedPromotion>,
    pub coupon_codes: Vec<String>,
}

impl OwnedBasket {
    /// The basket's price; nobody gives up.
    pub fn price(&self, step_budget: i64) -> BasketPrice {
        let lines: Vec<_> = self.lines.iter().map(line).collect();
        let promotions: Vec<_> = self.promotions.iter().map(promotion).collect();
        let (lines, promotions, coupon_codes) = (&lines[..], &promotions[..], &self.coupon_codes[..]);
        price_basket(&Basket { lines, promotions, coupon_codes, step_budget }, &|| false)
            .expect("it is within the contract")
    }

    /// What each promotion did, by id.
    pub fn applied(&self, price: &BasketPrice) -> Vec<(String, i64, i64)> {
        let named = |each: &engine::promotions::Applied| self.promotions[each.promotion].promotion_id.clone();
        price.applied.iter().map(|each| (named(each), each.applications, each.discount)).collect()
    }
}

pub fn line(owned: &OwnedLine) -> Line<'_> {
    Line { product_id: &owned.product_id, quantity: owned.quantity, unit: owned.unit, categories: &owned.categories }
}

fn promotion(owned: &OwnedPromotion) -> Promotion<'_> {
    let products = ProductSet { categories: &owned.categories, products: &owned.products };
    let (a, b, c) = owned.numbers;
    let terms = match owned.kind {
        0 => Terms::PercentOff { products, basis_points: 1 + a % 10_000 },
        1 => Terms::BuyGetFree { products, buy: 1 + a % 3, free: 1 + b % 3, max_applications: c % 4 },
        2 => Terms::Bundle { product_ids: &owned.products, price: a, max_applications: c % 3 },
        3 => Terms::Threshold { products, minimum: a, amount: 1 + b, basis_points: 0 },
        _ => Terms::Threshold { products, minimum: a, amount: 0, basis_points: 1 + b % 10_000 },
    };
    Promotion {
        promotion_id: &owned.promotion_id,
        terms,
        exclusivity_group: &owned.group,
        coupon_code: &owned.coupon_code,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn lines(most: usize, most_units: i64, most_price: i64) -> impl Strategy<Value = Vec<OwnedLine>> {
    let categories = subsequence(texts(&["comedy", "drama", "war"]), 0..=2);
    let price = prop_oneof![4 => 0..=most_price, 1 => Just(100.min(most_price))];
    vec((1..=most_units, price, categories), 1..=most).prop_map(|lines| {
        let numbered = lines.into_iter().enumerate();
        numbered
            .map(|(number, (quantity, unit, categories))| OwnedLine {
                product_id: format!("film-{number}"),
                quantity,
                unit,
                categories,
            })
            .collect()
    })
}

prop_compose! {
    fn promotions(product_ids: Vec<String>, most: usize, most_price: i64)(
        drawn in vec(
            (
                0..5_u8,
                select(texts(&["", "a", "a", "b"])),
                select(texts(&["", "", "", "SPRING"])),
                subsequence(texts(&["comedy", "drama", "war"]), 0..=1),
                vec(any::<Index>(), 2..=3),
                (0..=most_price, 0..=most_price, 0..100_i64),
            ),
            0..=most,
        ),
    ) -> Vec<OwnedPromotion> {
        let numbered = drawn.into_iter().enumerate();
        numbered.map(|(number, (kind, group, coupon_code, categories, chosen, numbers))| {
            let mut products: Vec<String> = chosen.iter().map(|at| at.get(&product_ids).clone()).collect();
            products.sort();
            products.dedup();
            let products = if kind == 2 || number % 2 == 0 { products } else { Vec::new() };
            OwnedPromotion { promotion_id: format!("p{number}"), group, coupon_code, kind, categories, products, numbers }
        })
        .collect()
    }
}

/// Small baskets, in which several promotions want the same units.
pub fn baskets() -> impl Strategy<Value = OwnedBasket> {
    within(5, 3, 1_000, 7)
}

/// Baskets at the contract's edge: as dear, as many, as long as it allows.
pub fn large_baskets() -> impl Strategy<Value = OwnedBasket> {
    within(50, 100, 712_500_000, 64)
}

fn within(lines_: usize, units: i64, price: i64, most: usize) -> impl Strategy<Value = OwnedBasket> {
    lines(lines_, units, price).prop_flat_map(move |lines| {
        let product_ids = lines.iter().map(|line| line.product_id.clone()).collect();
        let codes = subsequence(texts(&["SPRING", "AUTUMN"]), 0..=2);
        (Just(lines), promotions(product_ids, most, price.min(100_000_000)), codes)
            .prop_map(|(lines, promotions, coupon_codes)| OwnedBasket { lines, promotions, coupon_codes })
    })
}
