//! What a native process of a Tricorn application needs besides its contracts.
//!
//! The platform in Python is the reference: the words, the files and the folders here are its own, and a caller cannot
//! tell which of the two answered. A process's `main` is one call of [`run`], which names its language, its descriptors and
//! what it hosts:
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     tricorn::run("rust", notes_proto::DESCRIPTORS, |_start, service| {
//!         let methods = Methods::new().light("GetNote", get_note).heavy("SearchNotes", search_notes);
//!         Ok(service.host("notes.v1.NotesService", methods)?)
//!     })
//! }
//! ```
//!
//! - [`contract`]: policies, reasons, rules, refusals; calls as functions of bytes. It needs neither runtime nor sockets,
//!   and is all that there is without the feature `server`.
//! - [`telemetry`]: JSON logs, spans, counters.
//! - `wire` and `host` (with `server`): gRPC with health and reflection, deadlines, the life of a process.

pub mod contract;
pub mod telemetry;

#[cfg(feature = "server")]
mod host;
#[cfg(feature = "server")]
mod wire;

#[cfg(feature = "server")]
pub use host::{Environment, Error, Start, run};

/// The platform's own contracts, made by `tricorn gen`.
#[cfg(feature = "server")]
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
mod generated {
    include!("gen/mod.rs");
}

#[cfg(feature = "server")]
use generated::tricorn::v1 as proto;
