//! The main job, end to end: real publishers, real processes, real players.
//!
//! One program, run with `--test-threads=1`: each test keeps a small machine busy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broadcast;
mod catalog;
mod demo;
mod devices;
mod drain;
mod explain;
mod failover;
mod formats;
mod nodes;
mod outage;
mod restart;
mod routing;
mod seamless;
mod secure;
mod soak;
mod upgrade;

/// A ladder that costs little and still has two rungs.
const LADDER: &str = "180p:180@300k,low:120@150k";
/// One picture of the sample, in 90 kHz.
const PICTURE: i64 = 3_600;
