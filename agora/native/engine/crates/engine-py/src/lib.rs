//! Agora's prices as a Python extension.
//!
//! A thin skin over `engine-service`: what crosses over are the bytes of the contract's messages, so the extension
//! and the server answer the same. The interpreter is let go of while work is done.

use std::sync::LazyLock;
use std::time::Instant;

use engine::basket::price_basket;
use engine_proto::DESCRIPTORS;
use engine_proto::agora::pricing::v1::PriceBasketRequest;
use engine_service::pricing;
use prost::Message as _;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tricorn::contract::{Call, Refusal, Service};

create_exception!(agora_engine, Refused, PyException, "An answer other than the one that was hoped for.");

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let mut service = Service::new(DESCRIPTORS).expect("the descriptors are the application's");
    service.host(pricing::CONTRACT, pricing::methods()).expect("every method of the contract is there");
    service
});

/// Answers a call of `agora.pricing.v1.PricingService`; holds no lock, so many threads may call at once.
///
/// Args:
///     method: For example `agora.pricing.v1.PricingService/PriceBasket`.
///     request: The serialised request; its rules are checked.
///
/// Returns:
///     The serialised answer. Work that takes longer than the method's deadline is refused.
///
/// Raises:
///     `Refused`: As the contract says it; `status` is a serialised `google.rpc.Status`.
#[pyfunction]
fn call<'py>(py: Python<'py>, method: &str, request: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    match py.detach(|| answer(method, request)) {
        Ok(bytes) => Ok(PyBytes::new(py, &bytes)),
        Err(refusal) => Err(refused(py, &refusal)?),
    }
}

fn answer(method: &str, request: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut call = Call::default();
    call.deadline = SERVICE.method(method).map(|method| Instant::now() + method.policy.deadline);
    SERVICE.call(method, request, &call, &|defect| eprintln!("{method}: {defect}"))
}

fn refused(py: Python<'_>, refusal: &Refusal) -> PyResult<PyErr> {
    let error = Refused::new_err(refusal.detail.clone());
    error.value(py).setattr("status", PyBytes::new(py, &refusal.to_status(SERVICE.contracts())))?;
    Ok(error)
}

/// How many seconds the best price of a basket takes on average, without decoding, checks and encoding.
///
/// Args:
///     request: A serialised `PriceBasketRequest` that keeps its rules.
///     repeats: How often it is priced, at least once.
///
/// Raises:
///     `ValueError`: The request is none, or breaks a rule, or `repeats` is not positive.
#[pyfunction]
fn search_seconds(py: Python<'_>, request: &[u8], repeats: u32) -> PyResult<f64> {
    if repeats == 0 {
        return Err(PyValueError::new_err("repeats must be positive"));
    }
    py.detach(|| timed(request, repeats)).map_err(PyValueError::new_err)
}

fn timed(request: &[u8], repeats: u32) -> Result<f64, String> {
    let method = format!("{}/PriceBasket", pricing::CONTRACT);
    answer(&method, request).map_err(|refusal| refusal.to_string())?;
    let request = PriceBasketRequest::decode(request).map_err(|error| error.to_string())?;
    let parts = pricing::Parts::of(&request);
    let begun = Instant::now();
    for _ in 0..repeats {
        price_basket(&parts.basket(), &|| false).map_err(|unpriced| unpriced.to_string())?;
    }
    Ok(begun.elapsed().as_secs_f64() / f64::from(repeats))
}

#[pymodule]
fn agora_engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Refused", module.py().get_type::<Refused>())?;
    module.add_function(wrap_pyfunction!(call, module)?)?;
    module.add_function(wrap_pyfunction!(search_seconds, module)?)
}
