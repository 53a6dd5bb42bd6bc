//! What travels with a call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::telemetry::TraceContext;

/// Whoever a call is made for, as a gateway verified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Their id.
    pub user_id: String,
    /// The session they called in.
    pub session_id: String,
    /// What they may do.
    pub roles: BTreeSet<String>,
}

/// What a method gets besides its request. Clones share the cancellation.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Whoever it is made for, if anybody in particular.
    pub identity: Option<Identity>,
    /// Until when the caller waits.
    pub deadline: Option<Instant>,
    /// The id of the event or the key of the call that led to this one; empty when nothing did.
    pub causation: String,
    /// What the caller sent along under `tricorn-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// It is made to compare answers: nothing that it leads to may have an effect.
    pub shadow: bool,
    /// The span that serves it.
    pub trace: Option<TraceContext>,
    cancelled: Arc<AtomicBool>,
}

impl Call {
    /// Whether nobody waits for the answer any more: the deadline has passed, or the caller went away. Long work asks
    /// this now and then, and ends.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Ends the work of this call and its clones.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
