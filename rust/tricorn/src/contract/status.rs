//! Refusals as `google.rpc.Status` with `google.rpc.ErrorInfo` and `google.rpc.BadRequest`: what every transport sends.

use std::collections::BTreeMap;

use prost::Message;

use super::{Contracts, Refusal};

const DOMAIN: &str = "tricorn";

/// The number of `INTERNAL`, which a reason outside the vocabulary has.
const INTERNAL: i32 = 13;

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(string, tag = "3")]
    reason: String,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

impl Refusal {
    /// The number of the gRPC status code that its reason has in the vocabulary.
    #[must_use]
    pub fn code(&self, contracts: &Contracts) -> i32 {
        let named = contracts.reason(&self.reason).and_then(|entry| CODES.iter().position(|name| *name == entry.grpc));
        named.and_then(|number| number.try_into().ok()).unwrap_or(INTERNAL)
    }

    /// An encoded `google.rpc.Status` with all that there is to know.
    #[must_use]
    pub fn to_status(&self, contracts: &Contracts) -> Vec<u8> {
        let info =
            ErrorInfo { reason: self.reason.clone(), domain: DOMAIN.to_owned(), metadata: self.metadata.clone() };
        let mut details = vec![packed("ErrorInfo", &info)];
        if !self.violations.is_empty() {
            let broken = self.violations.iter().map(|violation| FieldViolation {
                field: violation.field.clone(),
                description: violation.message.clone(),
                reason: violation.rule.clone(),
            });
            details.push(packed("BadRequest", &BadRequest { field_violations: broken.collect() }));
        }
        if let Some(retry_delay) = self.retry_after.and_then(|delay| delay.try_into().ok()) {
            details.push(packed("RetryInfo", &RetryInfo { retry_delay: Some(retry_delay) }));
        }
        RpcStatus { code: self.code(contracts), message: self.detail.clone(), details }.encode_to_vec()
    }
}

fn packed(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}
