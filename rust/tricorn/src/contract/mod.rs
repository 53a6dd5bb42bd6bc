//! What the contracts say, and the implementations that a process hosts, by method: no I/O, no async.

mod call;
mod contracts;
mod descriptor;
mod refusal;
mod rules;
mod service;
mod status;

pub use call::{Call, Identity};
#[cfg(feature = "server")]
pub(crate) use contracts::PLATFORM;
pub use contracts::{ContractError, Contracts, DEFAULT_DEADLINE, MethodPolicy, ReasonEntry};
pub use refusal::{Refusal, Violation};
#[cfg(feature = "server")]
pub(crate) use service::said;
pub use service::{Method, Methods, Service};
