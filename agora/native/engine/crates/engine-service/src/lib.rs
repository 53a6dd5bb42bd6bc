//! The contracts of prices and of the signer, answered by the rules in [`engine`]: conversion, and what the reference
//! refuses beyond the rules of its messages. Whoever hosts it, a server or a wheel, gets the same answers.

#![forbid(unsafe_code)]

pub mod pricing;
pub mod signing;

use engine_proto::DESCRIPTORS;
use tricorn::contract::{ContractError, Service};

/// A service that answers prices, and signatures when there is a signer.
///
/// # Errors
///
/// A contract has a rule that cannot be checked here.
pub fn service<S: signing::Signer>(signer: Option<S>) -> Result<Service, ContractError> {
    let mut service = Service::new(DESCRIPTORS)?;
    service.host(pricing::CONTRACT, pricing::methods())?;
    if let Some(signer) = signer {
        service.host(signing::CONTRACT, signing::methods(signer))?;
    }
    Ok(service)
}
