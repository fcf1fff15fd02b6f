//! A node from outside: what a client sends, and what it hears.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod drains;
mod refusals;

use common::{Segment, make};

/// One worker, and a preset at which jobs last long enough to be interrupted.
const SLOW: &str = "[worker]\ncount = 1\ngrace = '20s'\n[encoder]\npreset = 'placebo'";

/// 8 s in one segment: seconds of work at [`SLOW`].
fn long() -> Segment {
    let options = ["-g", "1000", "-bf", "0"];
    make(
        &["testsrc2=size=320x180:rate=30:duration=8"],
        &options,
        "180p@300k,low:90@100k",
    )
    .remove(0)
}

/// The first line of an HTTP/1.1 answer.
fn status(head: &str) -> &str {
    head.lines().next().unwrap_or_default()
}
