//! What the tests of this crate share.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses its part, and what fails here fails the test"
)]

mod engine;
pub(crate) mod h264_bits;
mod media;
mod node;
mod systemd;

pub(crate) use engine::*;
pub(crate) use media::*;
pub(crate) use node::*;
pub(crate) use systemd::*;
