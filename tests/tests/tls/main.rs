//! Who is let in, who is sent anything, and how certificates are replaced.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod consul;
mod daemons;
mod files;
mod line;
mod pair;
mod peers;
mod reload;
mod rotation;
