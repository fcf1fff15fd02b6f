//! A stream's life as its publishers and players see it: real registry, segmenter and origin,
//! no transcode node, virtual time.

// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contest;
mod ingest;
mod life;
