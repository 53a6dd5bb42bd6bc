//! Calls over gRPC: framing, dispatch, errors, the way to listen.

pub(crate) mod codec;
pub(crate) mod dispatch;
pub(crate) mod errors;
pub(crate) mod listen;
pub(crate) mod unary;
