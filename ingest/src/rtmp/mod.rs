//! RTMP publishers.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod amf;
pub mod chunk;
mod config;
pub mod handshake;

pub use config::Config;
