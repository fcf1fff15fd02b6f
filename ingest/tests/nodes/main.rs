//! Dispatch and discovery against nodes that refuse, stall, lie and die.

#![allow(unreachable_pub, reason = "modules of a test binary")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attempts;
mod discovery;
mod failures;
mod fleet;
mod hedge;
mod journal;
mod media;
mod node;
mod poison;
mod push_back;
mod spending;
