//! Logs, traces and metrics: what a process says about itself.

mod logs;
mod metrics;
mod traces;

#[cfg(feature = "server")]
pub(crate) mod export;
#[cfg(feature = "server")]
pub(crate) mod exposition;

pub use logs::{Level, configure_logging, log, logs};
pub use metrics::{CallStats, Figures};
pub use traces::{TraceContext, current_trace};
