//! A stream from its first publisher to its end: one publisher at a time, one segmenter, one
//! origin stream, and the segments that are out for transcoding.

mod publication;

pub use publication::{Ended, Publication, PublishRequest, Refused, Streams};
