//! Agora's prices and its signer in a process of their own.

#![forbid(unsafe_code)]

mod keys;

use std::process::ExitCode;

use engine_service::{pricing, signing};
use keys::KeyRing;

fn main() -> ExitCode {
    tricorn::run("rust", engine_proto::DESCRIPTORS, |start, service| {
        let keys = KeyRing::new(start.home.join("contexts/payments/signing"));
        service.host(pricing::CONTRACT, pricing::methods())?;
        service.host(signing::CONTRACT, signing::methods(keys))?;
        Ok(())
    })
}
