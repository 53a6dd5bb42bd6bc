//! The rules of Agora's prices and of its signer, pure: no I/O, no clock, no randomness, no threads.
//!
//! Everything here is a port of the reference in Python (`agora.pricing.domain`, `agora.payments.signing`) and gives the
//! same answers to the last bit, the number of search steps included. What a combination of promotions *means* and how
//! the cheapest is *found* is written in the reference's modules `promotions`, `components` and `search`; the modules
//! here have the same names and say only what they do differently.
//!
//! ```text
//! money <- lines, promotions <- limits <- offers <- settlement <- components <- search <- basket
//! money <- repricing            signing
//! ```
//!
//! Text is borrowed from the request: pricing a basket copies no string. All money is `i64` minor units, and [`limits`]
//! says why nothing overflows.
//!
//! There are no threads either. The order in which nodes are looked at decides the steps, so a search that is shared out
//! would have to do its work twice to count them; and a basket of 20 lines and 12 promotions takes 0.3 ms, the largest
//! repricing that the contract allows (5,000 histories of 1,000 days) 1.4 s of its 10 s.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod basket;
mod components;
pub mod limits;
pub mod lines;
pub mod money;
mod offers;
pub mod promotions;
pub mod repricing;
mod search;
mod settlement;
pub mod signing;
