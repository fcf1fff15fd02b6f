//! RTMP publishers.
//!
//! ```text
//! socket ─▶ connection ─▶ session ─▶ handshake | chunk ─▶ amf (commands)
//!              │             └─────────────────────────▶ media ─▶ flv, clock
//!              └─ Publication ─▶ stream
//! ```
//!
//! Everything from [`session`] down is pure: bytes in, events and bytes out, every size
//! bounded before the peer is believed. [`serve`] is the I/O around it, with a limit on every
//! wait. A publisher that is refused, or publishes what cannot be served, is told why in an
//! `onStatus` before the connection closes; one that leaves without saying so is lost, and its
//! stream waits for it.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod aggregate;
pub mod amf;
pub mod chunk;
pub mod clock;
mod coding;
mod config;
mod connection;
pub mod flv;
pub mod handshake;
pub mod media;
mod metrics;
mod reply;
mod server;
pub mod session;

pub use config::Config;
pub use metrics::Metrics;
pub use server::serve;
