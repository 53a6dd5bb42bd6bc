//! What holds for every basket, whatever the promotions.

mod support;

use engine::basket::{Basket, DEFAULT_STEP_BUDGET, Unpriced, each_once, price_basket};
use engine::limits::OutOfRange;
use engine::promotions::{BasketPrice, Line, ProductSet, Promotion, Terms};
use proptest::prelude::*;
use support::{OwnedBasket, baskets, large_baskets, line};

fn adds_up(basket: &OwnedBasket, price: &BasketPrice) -> Result<(), TestCaseError> {
    let subtotal: i64 = basket.lines.iter().map(|each| line(each).subtotal()).sum();
    prop_assert_eq!(price.subtotal, subtotal);
    prop_assert!((0..=subtotal).contains(&price.total()));
    prop_assert_eq!(price.discount, price.line_discounts.iter().sum::<i64>());
    prop_assert_eq!(price.discount, price.applied.iter().map(|each| each.discount).sum::<i64>());
    for (discount, each) in price.line_discounts.iter().zip(&basket.lines) {
        prop_assert!((0..=line(each).subtotal()).contains(discount));
    }
    for each in &price.applied {
        prop_assert!(each.discount > 0 && each.applications > 0);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_total_is_never_below_nothing_nor_above_the_subtotal_even_when_cut_off(basket in baskets(), budget in 0..50_i64) {
        let price = basket.price(budget);

        adds_up(&basket, &price)?;
        let budget = if budget > 0 { budget } else { DEFAULT_STEP_BUDGET };
        prop_assert!(price.steps <= budget);
    }

    #[test]
    fn the_order_of_the_request_does_not_matter(
        (basket, shuffled) in baskets().prop_flat_map(|basket| {
            let orders = (Just(basket.lines.clone()).prop_shuffle(), Just(basket.promotions.clone()).prop_shuffle());
            let codes = basket.coupon_codes.clone();
            let shuffled = orders.prop_map(move |(lines, promotions)| {
                OwnedBasket { lines, promotions, coupon_codes: codes.iter().rev().cloned().collect() }
            });
            (Just(basket), shuffled)
        }),
    ) {
        let (price, again) = (basket.price(0), shuffled.price(0));

        prop_assert_eq!((price.exact, price.steps, price.discount), (again.exact, again.steps, again.discount));
        prop_assert_eq!(basket.applied(&price), shuffled.applied(&again));
        let by_product = |basket: &OwnedBasket, price: &BasketPrice| {
            let ids = basket.lines.iter().map(|line| line.product_id.clone());
            let mut pairs: Vec<_> = ids.zip(price.line_discounts.clone()).collect();
            pairs.sort();
            pairs
        };
        prop_assert_eq!(by_product(&basket, &price), by_product(&shuffled, &again));
    }

    #[test]
    fn another_promotion_never_makes_a_basket_dearer(basket in baskets()) {
        let whole = basket.price(0);
        prop_assume!(whole.exact);
        for left_out in 0..basket.promotions.len() {
            let mut fewer = basket.clone();
            fewer.promotions.remove(left_out);
            prop_assert!(whole.discount >= fewer.price(0).discount);
        }
    }

    #[test]
    fn a_larger_budget_never_finds_less(basket in baskets(), budget in 1..200_i64) {
        let (small, large, whole) = (basket.price(budget), basket.price(2 * budget), basket.price(0));

        prop_assert!(small.discount <= large.discount && large.discount <= whole.discount);
        prop_assert!(!small.exact || small == whole);
        prop_assert!(small.steps <= budget);
    }

    #[test]
    fn a_promotion_behind_a_coupon_takes_part_only_with_its_code(basket in baskets()) {
        let without = OwnedBasket { coupon_codes: Vec::new(), ..basket.clone() };

        let price = without.price(0);

        prop_assert!(price.applied.iter().all(|each| basket.promotions[each.promotion].coupon_code.is_empty()));
        prop_assert!(price.discount <= basket.price(0).discount);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // These tests are built with overflow checks: a sum beyond 64 bits would end them.
    #[test]
    fn nothing_overflows_at_the_contract_s_edge(basket in large_baskets(), budget in 1..3_000_i64) {
        adds_up(&basket, &basket.price(budget))?;
    }
}

const NOTHING: Basket<'static> = Basket { lines: &[], promotions: &[], coupon_codes: &[], step_budget: 0 };

/// Every second and every third unit free, which compete for all of them.
fn contested() -> [Promotion<'static>; 2] {
    [("p1", 1), ("p2", 2)].map(|(promotion_id, buy)| Promotion {
        promotion_id,
        terms: Terms::BuyGetFree { products: ProductSet::default(), buy, free: 1, max_applications: 0 },
        exclusivity_group: "g",
        coupon_code: "",
    })
}

fn film(product_id: &str, unit: i64) -> Line<'_> {
    Line { product_id, quantity: 3, unit, categories: &[] }
}

#[test]
fn a_basket_without_promotions_costs_its_subtotal() {
    let lines = [film("film", 500)];

    let price = price_basket(&Basket { lines: &lines, ..NOTHING }, &|| false).unwrap();

    assert_eq!((price.total(), price.exact, price.steps, price.applied.len()), (1_500, true, 0, 0));
}

#[test]
fn a_search_ends_when_its_caller_gives_up() {
    let ids: Vec<String> = (10..50).map(|number| format!("film-{number}")).collect();
    let lines: Vec<_> = ids.iter().zip(1..).map(|(id, number)| film(id, 1_000 + 37 * number)).collect();
    let basket = Basket { lines: &lines, promotions: &contested(), step_budget: 10_000_000, ..NOTHING };

    assert_eq!(price_basket(&basket, &|| true), Err(Unpriced::Cancelled));
}

#[test]
fn what_the_contract_refuses_has_no_price() {
    let refused = |basket: &Basket<'_>| price_basket(basket, &|| false).unwrap_err();

    let dear = [film("film", 712_500_001)];
    assert_eq!(refused(&Basket { lines: &dear, ..NOTHING }), Unpriced::OutOfRange(OutOfRange("a unit price")));
    assert_eq!(
        refused(&Basket { step_budget: 10_000_001, ..NOTHING }).to_string(),
        "the step budget is beyond what the contract allows"
    );
}

#[test]
fn what_is_named_twice_is_told_as_the_contract_tells_it() {
    let [one, _] = contested();

    let repeated = each_once(&[film("a", 1), film("a", 2)], &[one, one]).unwrap_err();

    assert_eq!(repeated.to_string(), "lines: each product at most once; promotions: each promotion at most once");
    assert_eq!(
        repeated.violations.iter().map(|each| each.rule).collect::<Vec<_>>(),
        ["lines.unique", "promotions.unique"]
    );
    assert_eq!(each_once(&[film("a", 1), film("b", 1)], &contested()), Ok(()));
}
