//! The plan of one segment, on virtual time, over a real table and router.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod attempts;
mod budgets;
mod claims;
mod hedges;
mod invariants;
mod precious;
mod streams;
mod support;
