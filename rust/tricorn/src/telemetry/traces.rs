//! W3C trace context.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Where in which trace the running code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Never zero.
    pub trace_id: u128,
    /// Zero for a trace that has no span yet.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// A trace that begins here.
    #[must_use]
    pub fn begin() -> Self {
        let trace_id = (u128::from(random()) << 64) | u128::from(random()) | 1;
        Self { trace_id, span_id: 0, sampled: true }
    }

    /// Reads a `traceparent`; `None` for one that the W3C recommendation says to ignore.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.splitn(5, '-');
        let version = hexadecimal(parts.next()?, 2)?;
        let trace_id = hexadecimal(parts.next()?, 32)?;
        let span_id = u64::try_from(hexadecimal(parts.next()?, 16)?).ok()?;
        let flags = hexadecimal(parts.next()?, 2)?;
        if version == 0xff || trace_id == 0 || span_id == 0 || (version == 0 && parts.next().is_some()) {
            return None;
        }
        Some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// A new span below this one.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: random() | 1, ..self }
    }

    /// The value of the header `traceparent`.
    #[must_use]
    pub fn traceparent(self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }

    /// Runs `work` within this trace: the lines it logs name it.
    pub fn scope<T>(self, work: impl FnOnce() -> T) -> T {
        let _restored = Restored(CURRENT.replace(Some(self)));
        work()
    }
}

/// Where the running code is, within [`TraceContext::scope`].
#[must_use]
pub fn current_trace() -> Option<TraceContext> {
    CURRENT.get()
}

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
    static STATE: RefCell<u64> = RefCell::new(RandomState::new().build_hasher().finish());
}

struct Restored(Option<TraceContext>);

impl Drop for Restored {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

fn hexadecimal(text: &str, length: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != length || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// Splitmix64 (Steele, Lea, Flood 2014). Ids need to be unique, not secret.
fn random() -> u64 {
    STATE.with_borrow_mut(|state| {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

        assert_eq!(TraceContext::parse(text).unwrap().traceparent(), text);
    }

    #[test]
    fn a_traceparent_that_the_recommendation_says_to_ignore_is_none() {
        for broken in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceContext::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_version_to_come_may_say_more() {
        let text = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";

        assert!(TraceContext::parse(text).is_some());
    }

    #[test]
    fn a_scope_ends_with_its_work() {
        let outer = TraceContext::begin();

        outer.scope(|| {
            outer.child().scope(|| assert_ne!(current_trace(), Some(outer)));
            assert_eq!(current_trace(), Some(outer));
        });

        assert_eq!(current_trace(), None);
    }
}
