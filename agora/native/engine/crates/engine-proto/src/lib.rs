//! The messages of the contracts that the engine answers, by the names they have in the contracts, and the descriptors
//! that policies, rules and reasons are read from. What a message means is written in the `.proto`.

#![forbid(unsafe_code)]

#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
mod generated {
    include!("gen/mod.rs");
}

pub use generated::agora;

/// An encoded `FileDescriptorSet` of the contracts with all their imports.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptors.binpb");
