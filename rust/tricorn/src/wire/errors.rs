//! Refusals on gRPC.

use tonic::{Code, Status};

use crate::contract::{Contracts, Refusal};

/// The status of a refusal, with its details.
pub(crate) fn to_status(contracts: &Contracts, refusal: &Refusal) -> Status {
    let code = Code::from_i32(refusal.code(contracts));
    Status::with_details(code, &refusal.detail, refusal.to_status(contracts).into())
}
