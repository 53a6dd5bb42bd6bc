//! Whatever bytes arrive, they are answered or refused: nothing panics, and every reason is of the vocabulary.

use std::time::{Duration, Instant};

use engine_proto::DESCRIPTORS;
use engine_proto::agora::pricing::v1 as pb;
use engine_service::pricing;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use prost::Message as _;
use tricorn::contract::{Call, Service};

/// Nobody waits longer for an answer: a basket that bytes ask for by chance may be priced for long.
const LONGEST: Duration = Duration::from_millis(300);

fn service() -> Service {
    let mut service = Service::new(DESCRIPTORS).expect("the descriptors are the application's");
    service.host(pricing::CONTRACT, pricing::methods()).expect("every method of the contract is there");
    service
}

/// Answers or refuses; the test fails by a panic when there is a defect.
fn called(service: &Service, method: &str, request: &[u8]) -> bool {
    let mut call = Call::default();
    call.deadline = Some(Instant::now() + LONGEST);
    let method = format!("{}/{method}", pricing::CONTRACT);
    match service.call(&method, request, &call, &|defect| panic!("{defect}")) {
        Ok(_) => true,
        Err(refusal) => {
            assert!(service.contracts().reason(&refusal.reason).is_some(), "{refusal}");
            assert_ne!(refusal.reason, "INTERNAL");
            false
        }
    }
}

/// A basket of three lines with a promotion of each kind.
fn basket() -> pb::PriceBasketRequest {
    use pb::promotion::Kind;
    let lines = (1..4).map(|number| pb::BasketLine {
        product: Some(pb::PricedProduct {
            product_id: format!("film-{number}"),
            base_minor_units: 1_000 * number,
            available: 100,
            demand_basis_points: 10_000,
        }),
        quantity: 3,
        category_ids: vec!["drama".to_owned()],
    });
    let products = Some(pb::ProductSet { category_ids: vec!["drama".to_owned()], product_ids: Vec::new() });
    let kinds = [
        Kind::PercentOff(pb::PercentOff { products: products.clone(), basis_points: 1_000 }),
        Kind::BuyGetFree(pb::BuyGetFree { products: products.clone(), buy: 2, free: 1, max_applications: 1 }),
        Kind::Bundle(pb::Bundle {
            product_ids: vec!["film-1".to_owned(), "film-2".to_owned()],
            price_minor_units: 1_500,
            max_applications: 0,
        }),
        Kind::Threshold(pb::Threshold {
            products,
            minimum_minor_units: 1,
            benefit: Some(pb::threshold::Benefit::AmountMinorUnits(500)),
        }),
    ];
    let promotions = kinds.into_iter().zip(1..).map(|(kind, number)| pb::Promotion {
        promotion_id: format!("p{number}"),
        exclusivity_group: "group".to_owned(),
        kind: Some(kind),
        ..pb::Promotion::default()
    });
    pb::PriceBasketRequest {
        lines: lines.collect(),
        tier: 3,
        promotions: promotions.collect(),
        ..pb::PriceBasketRequest::default()
    }
}

#[test]
fn the_basket_that_is_damaged_below_is_answered_when_it_is_whole() {
    assert!(called(&service(), "PriceBasket", &basket().encode_to_vec()));
}

proptest! {
    #[test]
    fn any_bytes_are_answered_or_refused(
        method in select(vec!["PriceProducts", "PriceBasket", "RepriceCatalogue"]),
        request in vec(any::<u8>(), 0..200),
    ) {
        called(&service(), method, &request);
    }

    #[test]
    fn a_damaged_basket_is_answered_or_refused(damages in vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..4)) {
        let mut request = basket().encode_to_vec();
        for (at, byte, how) in damages {
            let at = at.index(request.len());
            match how {
                0 => request[at] = byte,
                1 => request.insert(at, byte),
                _ => request.truncate(at.max(1)),
            }
        }

        called(&service(), "PriceBasket", &request);
    }
}
