//! The rules of requests: what `buf.validate` writes beside fields, with the violations of the reference.
//!
//! The rules that are known here are those that contracts of native parts use; `learn` refuses any other, so that a
//! process never takes what the reference refuses. A message is checked in its canonical encoding, which its decoded
//! form gives: each field once, elements of a list side by side. Nothing is copied unless a rule is broken.

mod check;
mod learn;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;

use super::{Contracts, Refusal};

/// The rules of the messages that were learnt, by full name.
#[derive(Default)]
pub(super) struct Rules {
    plans: HashMap<String, Plan>,
}

impl Rules {
    /// Checks a message.
    pub fn check(&self, message: &str, canonical: &[u8]) -> Result<(), Refusal> {
        let violations = check::violations(&self.plans, message, canonical);
        if violations.is_empty() { Ok(()) } else { Err(Refusal::invalid(violations)) }
    }

    /// Reads the rules of a message and of all it contains.
    pub fn learn(&mut self, contracts: &Contracts, message: &str) -> Result<(), super::ContractError> {
        learn::learn(&mut self.plans, contracts, message)
    }
}

/// What is checked of one type of message, in this order.
#[derive(Default)]
struct Plan {
    oneofs: Vec<OneofPlan>,
    /// In the order of their declaration.
    fields: Vec<FieldPlan>,
}

/// One of these fields must be set.
struct OneofPlan {
    name: String,
    numbers: Vec<u32>,
}

/// Whether being absent is told apart from being zero.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Explicit,
    Implicit,
    List,
}

struct FieldPlan {
    name: String,
    number: u32,
    presence: Presence,
    required: bool,
    ignore_zero: bool,
    /// Of the value, or of the list as a whole.
    rules: Vec<Rule>,
    /// Of each element.
    items: Vec<Rule>,
    /// The type of a message that may have rules of its own.
    message: Option<String>,
}

enum Rule {
    /// Characters.
    Len(u64),
    MinLen(u64),
    MaxLen(u64),
    Uuid,
    BytesLen(u64),
    BytesMinLen(u64),
    BytesMaxLen(u64),
    MinItems(u64),
    MaxItems(u64),
    Unique,
    Range(Range),
    DefinedOnly(Vec<i64>),
    EnumIn(Vec<i64>),
    EnumNotIn(Vec<i64>),
}

/// Bounds of an integer. With the upper one below the lower, what lies between them is refused.
struct Range {
    rule: String,
    message: String,
    low: Option<Bound>,
    high: Option<Bound>,
}

#[derive(Clone, Copy)]
struct Bound {
    value: i64,
    inclusive: bool,
}
