//! What both sides of the wire say of a segment.
//!
//! An ingest cuts a stream into segments and a transcode node turns each one into
//! renditions. This crate is the vocabulary that the two share, and nothing else: names
//! ([`id`]), the 90 kHz [`time`]line, the [`media`] that a protocol layer yields, the
//! [`ladder`], its [`rendition`]s and the [`shape`] that a job pins, the [`rate`] that holds over
//! segments, the [`wire`] protocol, and [`verify`], which decides whether an answer is the answer
//! to the question; [`sample`] is a question to try. [`ts`], [`h264`] and [`h265`] read and write
//! the formats that travel; [`codec`] chooses between H.264 and H.265.
//!
//! Everything here is pure: no I/O, no clock, no randomness. Whatever reads bytes that a peer
//! can influence returns an error and never panics; the parsers deny indexing and unchecked
//! arithmetic, and are fuzzed.

pub mod aac;
pub mod codec;
pub mod h264;
pub mod h265;
pub mod id;
pub mod ladder;
pub mod media;
pub mod rate;
pub mod rendition;
pub mod sample;
pub mod shape;
pub mod time;
pub mod ts;
pub mod verify;
pub mod wire;
