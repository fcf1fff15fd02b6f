//! RTMP, from single chunks to a real publisher. Among them is a test for every line of bad
//! input that the service must survive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aggregate;
mod amf;
mod chunk;
mod clock;
mod coding;
mod media;
mod pauses;
mod server;
mod session;
mod support;
