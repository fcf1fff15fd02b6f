//! The life of a worker: start, self-test, limits, silence, recycling, the end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

#[path = "../common/mod.rs"]
mod common;
mod deaths;
mod jobs;
mod starts;

use common::{Segment, make};

const SLOW: &str = "[worker]\ncount = 1\n[encoder]\npreset = 'slower'";

fn long() -> Segment {
    let options = ["-g", "1000", "-bf", "0"];
    make(
        &["testsrc2=size=320x180:rate=30:duration=8"],
        &options,
        "180p@300k,low:90@100k",
    )
    .remove(0)
}
