//! The one business error that crosses a contract.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One rule that a request breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path, for example `lines[0].quantity`; empty for the request itself.
    pub field: String,
    /// The rule's id.
    pub rule: String,
    /// What the rule asks for.
    pub message: String,
}

/// An answer other than the one that was hoped for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A name of the vocabulary, without `REASON_`.
    pub reason: String,
    /// What was wrong, with what, and what to do; shown to the caller, so never an internal.
    pub detail: String,
    /// Facts a program can act on.
    pub metadata: BTreeMap<String, String>,
    /// The broken rules of an `INVALID_ARGUMENT`.
    pub violations: Vec<Violation>,
    /// After how long it may be tried again.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with a reason of the vocabulary; one outside it reaches the caller as `INTERNAL`.
    #[must_use]
    pub fn new(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            detail: detail.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// A defect of ours, of which nothing is shown: log it first.
    #[must_use]
    pub fn internal() -> Self {
        Self::new("INTERNAL", "something went wrong here; it has been logged")
    }

    /// The method (its last name) did not answer in time.
    #[must_use]
    pub fn too_late(method: &str) -> Self {
        Self::new("DEADLINE_EXCEEDED", format!("{method} did not end within its deadline"))
    }

    /// `INVALID_ARGUMENT` with every broken rule, in the words of the reference. There must be one at least.
    #[must_use]
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let first = &violations[0];
        let field = if first.field.is_empty() { "the request" } else { &first.field };
        let more = match violations.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let mut refusal = Self::new("INVALID_ARGUMENT", format!("{field}: {}{more}", first.message));
        refusal.violations = violations;
        refusal
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.reason, self.detail)?;
        self.violations.iter().try_for_each(|broken| write!(out, "; {}: {}", broken.field, broken.message))
    }
}

impl std::error::Error for Refusal {}
