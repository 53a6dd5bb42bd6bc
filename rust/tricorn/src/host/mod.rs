//! One native process: its command line, its life, what it hosts.

mod arguments;
mod environment;
mod life;
mod process;
mod stats;

pub use environment::Environment;
pub use process::{Error, Start, run};
