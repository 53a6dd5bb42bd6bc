//! `agora.pricing.v1.PricingService`.

use engine::basket::{self, Basket, Repeated, Unpriced};
use engine::lines::{Tier, discount_basis_points, scarcity_basis_points, unit_price};
use engine::promotions::{BasketPrice, Line, ProductSet, Promotion, Terms};
use engine::repricing::{History, Point, reprice};
use engine_proto::agora::pricing::v1 as pb;
use tricorn::contract::{Call, Methods, Refusal, Violation};

/// The contract's full name.
pub const CONTRACT: &str = "agora.pricing.v1.PricingService";

/// Some hundred microseconds of search; what needs more is begun anew where it keeps nobody waiting.
const QUICK_STEPS: i64 = 1_000;
const QUICK_PROMOTIONS: usize = 24;
const QUICK_POINTS: usize = 5_000;

/// What answers the contract.
#[must_use]
pub fn methods() -> Methods {
    Methods::new()
        .light("PriceProducts", |request, _| Ok(price_products(request)))
        .heavy_unless("PriceBasket", price_basket_if_quick, price_basket)
        .heavy_unless(
            "RepriceCatalogue",
            |request, call| is_small(request).then(|| reprice_catalogue(request, call)),
            reprice_catalogue,
        )
}

/// The dynamic price of single units.
#[must_use]
pub fn price_products(request: &pb::PriceProductsRequest) -> pb::PriceProductsResponse {
    let tier = tier(request.tier);
    let prices = request.products.iter().map(|product| {
        let last = unit(product, tier);
        pb::ProductPrice {
            product_id: product.product_id.clone(),
            base_minor_units: product.base_minor_units,
            final_minor_units: last,
            discount_basis_points: narrow(discount_basis_points(product.base_minor_units, last)),
            scarcity_basis_points: scarcity_basis_points(product.available),
        }
    });
    pb::PriceProductsResponse { prices: prices.collect() }
}

/// The cheapest legal combination of promotions for a basket.
///
/// # Errors
///
/// `INVALID_ARGUMENT` for a product or promotion that is named twice, `DEADLINE_EXCEEDED` when the call ended first.
pub fn price_basket(request: &pb::PriceBasketRequest, call: &Call) -> Result<pb::PriceBasketResponse, Refusal> {
    let parts = Parts::of(request);
    basket::each_once(&parts.lines, &parts.promotions).map_err(|repeated| twice(&repeated))?;
    let price = basket::price_basket(&parts.basket(), &|| call.is_over()).map_err(|unpriced| match unpriced {
        Unpriced::Cancelled => Refusal::too_late("PriceBasket"),
        // The contract's rules are those of the engine, so nothing reaches this that they let through.
        Unpriced::OutOfRange(what) => Refusal::new("INVALID_ARGUMENT", what.to_string()),
    })?;
    Ok(answer(request, &parts.lines, &price))
}

/// The same price, if the search ends within few steps.
fn price_basket_if_quick(
    request: &pb::PriceBasketRequest,
    call: &Call,
) -> Option<Result<pb::PriceBasketResponse, Refusal>> {
    if request.promotions.len() > QUICK_PROMOTIONS {
        return None;
    }
    let parts = Parts::of(request);
    if let Err(repeated) = basket::each_once(&parts.lines, &parts.promotions) {
        return Some(Err(twice(&repeated)));
    }
    let enough = (1..=QUICK_STEPS).contains(&request.step_budget);
    let step_budget = if enough { request.step_budget } else { QUICK_STEPS };
    let price = basket::price_basket(&Basket { step_budget, ..parts.basket() }, &|| call.is_over()).ok()?;
    (price.exact || enough).then(|| Ok(answer(request, &parts.lines, &price)))
}

fn is_small(request: &pb::RepriceCatalogueRequest) -> bool {
    let grid = 2 * usize::try_from(request.grid_steps).unwrap_or_default();
    request.histories.iter().map(|history| history.points.len() + grid).sum::<usize>() <= QUICK_POINTS
}

/// What a request's basket consists of.
pub struct Parts<'a> {
    lines: Vec<Line<'a>>,
    promotions: Vec<Promotion<'a>>,
    request: &'a pb::PriceBasketRequest,
}

impl<'a> Parts<'a> {
    /// The parts of a request that keeps the contract's rules.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn of(request: &'a pb::PriceBasketRequest) -> Self {
        let tier = tier(request.tier);
        Self {
            lines: request.lines.iter().map(|line| line_from(line, tier)).collect(),
            promotions: request.promotions.iter().map(promotion_from).collect(),
            request,
        }
    }

    /// The basket as the engine takes it.
    #[must_use]
    pub fn basket(&self) -> Basket<'_> {
        Basket {
            lines: &self.lines,
            promotions: &self.promotions,
            coupon_codes: &self.request.coupon_codes,
            step_budget: self.request.step_budget,
        }
    }
}

/// Elasticities and the prices that bring the most revenue.
///
/// # Errors
///
/// `DEADLINE_EXCEEDED` when the call ended first.
pub fn reprice_catalogue(
    request: &pb::RepriceCatalogueRequest,
    call: &Call,
) -> Result<pb::RepriceCatalogueResponse, Refusal> {
    let most = i64::from(request.max_change_basis_points);
    let steps = i64::from(request.grid_steps);
    let mut points = Vec::new();
    let mut repricings = Vec::with_capacity(request.histories.len());
    for history in &request.histories {
        if call.is_over() {
            return Err(Refusal::too_late("RepriceCatalogue"));
        }
        points.clear();
        points.extend(history.points.iter().map(|point| Point { price: point.price_minor_units, units: point.units }));
        let known = History { current: history.current_minor_units, points: &points };
        let repriced = reprice(&known, most, steps);
        repricings.push(pb::Repricing {
            product_id: history.product_id.clone(),
            new_minor_units: repriced.price,
            elasticity: repriced.elasticity,
        });
    }
    Ok(pb::RepriceCatalogueResponse { repricings })
}

/// The contract's rules have made sure that it is one of them.
fn tier(number: i32) -> Tier {
    Tier::from_number(number).expect("a tier of the contract")
}

fn unit(product: &pb::PricedProduct, tier: Tier) -> i64 {
    unit_price(product.base_minor_units, product.available, product.demand_basis_points, tier)
}

fn line_from(line: &pb::BasketLine, tier: Tier) -> Line<'_> {
    let product = product(line);
    Line {
        product_id: &product.product_id,
        quantity: line.quantity.into(),
        unit: unit(product, tier),
        categories: &line.category_ids,
    }
}

fn product(line: &pb::BasketLine) -> &pb::PricedProduct {
    line.product.as_ref().expect("the contract requires it")
}

fn promotion_from(message: &pb::Promotion) -> Promotion<'_> {
    Promotion {
        promotion_id: &message.promotion_id,
        terms: terms_from(message.kind.as_ref().expect("the contract requires it")),
        exclusivity_group: &message.exclusivity_group,
        coupon_code: &message.coupon_code,
    }
}

fn terms_from(kind: &pb::promotion::Kind) -> Terms<'_> {
    match kind {
        pb::promotion::Kind::PercentOff(percent) => Terms::PercentOff {
            products: set_from(percent.products.as_ref()),
            basis_points: percent.basis_points.into(),
        },
        pb::promotion::Kind::BuyGetFree(run) => Terms::BuyGetFree {
            products: set_from(run.products.as_ref()),
            buy: run.buy.into(),
            free: run.free.into(),
            max_applications: run.max_applications.into(),
        },
        pb::promotion::Kind::Bundle(bundle) => Terms::Bundle {
            product_ids: &bundle.product_ids,
            price: bundle.price_minor_units,
            max_applications: bundle.max_applications.into(),
        },
        pb::promotion::Kind::Threshold(off) => {
            let (amount, basis_points) = match off.benefit {
                Some(pb::threshold::Benefit::AmountMinorUnits(amount)) => (amount, 0),
                Some(pb::threshold::Benefit::BasisPoints(basis_points)) => (0, basis_points.into()),
                None => (0, 0),
            };
            Terms::Threshold {
                products: set_from(off.products.as_ref()),
                minimum: off.minimum_minor_units,
                amount,
                basis_points,
            }
        }
    }
}

fn set_from(message: Option<&pb::ProductSet>) -> ProductSet<'_> {
    message.map_or_else(ProductSet::default, |set| ProductSet {
        categories: &set.category_ids,
        products: &set.product_ids,
    })
}

fn twice(repeated: &Repeated) -> Refusal {
    let mut refusal = Refusal::new("INVALID_ARGUMENT", repeated.to_string());
    refusal.violations = repeated
        .violations
        .iter()
        .map(|broken| Violation {
            field: broken.field.to_owned(),
            rule: broken.rule.to_owned(),
            message: broken.message.to_owned(),
        })
        .collect();
    refusal
}

fn answer(request: &pb::PriceBasketRequest, lines: &[Line<'_>], price: &BasketPrice) -> pb::PriceBasketResponse {
    let priced =
        request.lines.iter().zip(lines).zip(&price.line_discounts).map(|((asked, line), discount)| pb::PricedLine {
            product_id: line.product_id.to_owned(),
            quantity: asked.quantity,
            base_minor_units: product(asked).base_minor_units,
            unit_minor_units: line.unit,
            subtotal_minor_units: line.subtotal(),
            discount_minor_units: *discount,
            total_minor_units: line.subtotal() - discount,
        });
    let applied = price.applied.iter().map(|applied| {
        let promotion = &request.promotions[applied.promotion];
        pb::AppliedPromotion {
            promotion_id: promotion.promotion_id.clone(),
            name: promotion.name.clone(),
            coupon_code: promotion.coupon_code.clone(),
            applications: narrow(applied.applications),
            discount_minor_units: applied.discount,
        }
    });
    pb::PriceBasketResponse {
        lines: priced.collect(),
        applied: applied.collect(),
        subtotal_minor_units: price.subtotal,
        discount_minor_units: price.discount,
        total_minor_units: price.total(),
        exact: price.exact,
        steps: price.steps,
    }
}

fn narrow(number: i64) -> i32 {
    i32::try_from(number).expect("the contract's bounds keep it within 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(id: &str) -> pb::PricedProduct {
        pb::PricedProduct {
            product_id: id.to_owned(),
            base_minor_units: 1_000,
            available: 100,
            demand_basis_points: 10_000,
        }
    }

    fn half_off(id: &str) -> pb::Promotion {
        let percent = pb::PercentOff { products: None, basis_points: 5_000 };
        pb::Promotion {
            promotion_id: id.to_owned(),
            kind: Some(pb::promotion::Kind::PercentOff(percent)),
            ..pb::Promotion::default()
        }
    }

    fn request(products: &[&str], promotions: &[&str]) -> pb::PriceBasketRequest {
        let line = |id: &&str| pb::BasketLine { product: Some(product(id)), quantity: 2, category_ids: Vec::new() };
        pb::PriceBasketRequest {
            lines: products.iter().map(line).collect(),
            tier: pb::Tier::Basic.into(),
            promotions: promotions.iter().map(|id| half_off(id)).collect(),
            ..pb::PriceBasketRequest::default()
        }
    }

    #[test]
    fn a_quick_answer_is_the_whole_one() {
        let asked = request(&["a", "b"], &["p"]);

        let quick = price_basket_if_quick(&asked, &Call::default()).unwrap().unwrap();

        assert_eq!(quick, price_basket(&asked, &Call::default()).unwrap());
        assert_eq!((quick.subtotal_minor_units, quick.total_minor_units, quick.exact), (3_800, 1_900, true));
    }

    #[test]
    fn many_promotions_are_no_quick_matter() {
        let ids: Vec<String> = (0..=QUICK_PROMOTIONS).map(|number| number.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();

        assert!(price_basket_if_quick(&request(&["a"], &ids), &Call::default()).is_none());
    }

    #[test]
    fn what_is_named_twice_is_refused_in_the_words_of_the_reference() {
        let asked = request(&["a", "a"], &["p", "p"]);

        let refusal = price_basket(&asked, &Call::default()).unwrap_err();

        assert_eq!(refusal.reason, "INVALID_ARGUMENT");
        assert_eq!(refusal.detail, "lines: each product at most once; promotions: each promotion at most once");
        let rules: Vec<&str> = refusal.violations.iter().map(|broken| broken.rule.as_str()).collect();
        assert_eq!(rules, ["lines.unique", "promotions.unique"]);
        assert_eq!(price_basket_if_quick(&asked, &Call::default()), Some(Err(refusal)));
    }

    #[test]
    fn repricing_ends_with_its_call() {
        let history = pb::DemandHistory { product_id: "a".to_owned(), current_minor_units: 100, points: Vec::new() };
        let asked = pb::RepriceCatalogueRequest { histories: vec![history], max_change_basis_points: 0, grid_steps: 1 };
        let over = Call::default();
        over.cancel();

        assert_eq!(reprice_catalogue(&asked, &over).unwrap_err().reason, "DEADLINE_EXCEEDED");
        assert_eq!(reprice_catalogue(&asked, &Call::default()).unwrap().repricings[0].new_minor_units, 100);
    }
}
