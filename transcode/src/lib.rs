//! The transcode node: takes a segment over HTTP, answers its renditions.
//!
//! What comes in passes through four parts, each of which can be read alone:
//! [`pipeline`] turns the pictures of one segment into renditions, inside a worker process.

pub mod pipeline;
