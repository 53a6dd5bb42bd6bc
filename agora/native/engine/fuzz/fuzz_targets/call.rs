//! Decoding, the contract's rules and the search, on whatever bytes the fuzzer thinks of: the first chooses the method.

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use engine_proto::DESCRIPTORS;
use engine_service::pricing;
use libfuzzer_sys::fuzz_target;
use tricorn::contract::{Call, Service};

const METHODS: [&str; 3] = ["PriceProducts", "PriceBasket", "RepriceCatalogue"];

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let mut service = Service::new(DESCRIPTORS).expect("the descriptors are the application's");
    service.host(pricing::CONTRACT, pricing::methods()).expect("every method of the contract is there");
    service
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, request)) = bytes.split_first() else { return };
    let method = format!("{}/{}", pricing::CONTRACT, METHODS[usize::from(first) % METHODS.len()]);
    let mut call = Call::default();
    call.deadline = Some(Instant::now() + Duration::from_secs(1));
    // What is wrong with a request is a refusal; a defect ends the run.
    let _ = SERVICE.call(&method, request, &call, &|defect| panic!("{defect}"));
});
