//! `multipart/mixed` (RFC 2046), written and read part by part.
//!
//! A node sends each rendition the moment it is finished, and the ingest publishes it the
//! moment it is whole, so the answer is written and read in pieces. Every part says its length
//! in its head: media is never searched for a delimiter, and a part that is too large is
//! refused before its first byte is kept.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod read;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::id::RenditionName;

use super::reply::Summary;
use super::{HEADER_CHUNK, HEADER_LAST, HEADER_RENDITION};

pub use read::Reader;

/// The delimiter that is written. Bodies carry their length, so media may contain it.
pub const BOUNDARY: &str = "rackcast-8e1f9b2c4d7a";
const LENGTH: &str = "content-length";
const TYPE: &str = "content-type";
const MEDIA: &str = "video/mp2t";
const JSON: &str = "application/json";

/// The value of the answer's `content-type`.
pub fn content_type() -> String {
    format!("multipart/mixed; boundary={BOUNDARY}")
}

/// What stands above a rendition's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// Which rendition.
    pub rendition: RenditionName,
    /// The chunk's number within the rendition, from 0.
    pub chunk: u32,
    /// The rendition's last chunk.
    pub last: bool,
}

/// The bytes to send before a body of `len` bytes.
pub fn encode_rendition(head: &PartHead, len: usize) -> Bytes {
    let PartHead {
        rendition,
        chunk,
        last,
    } = head;
    Bytes::from(format!(
        "\r\n--{BOUNDARY}\r\n{TYPE}: {MEDIA}\r\n{LENGTH}: {len}\r\n\
         {HEADER_RENDITION}: {rendition}\r\n{HEADER_CHUNK}: {chunk}\r\n{HEADER_LAST}: {last}\r\n\r\n"
    ))
}

/// The last part and the end of the answer.
pub fn encode_summary(summary: &Summary) -> Bytes {
    // A struct with named fields always has a JSON form; without one the reader would refuse.
    let json = serde_json::to_string(summary).unwrap_or_default();
    let len = json.len();
    Bytes::from(format!(
        "\r\n--{BOUNDARY}\r\n{TYPE}: {JSON}\r\n{LENGTH}: {len}\r\n\r\n{json}\r\n--{BOUNDARY}--\r\n"
    ))
}

/// What an answer may cost its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one part's body.
    pub max_part: usize,
    /// Parts, with the summary.
    pub max_parts: usize,
    /// Bytes of one part's head with its delimiter.
    pub max_head: usize,
}

impl Default for Limits {
    /// 32 MiB, 64 parts, 4 KiB.
    fn default() -> Self {
        Self {
            max_part: 32 << 20,
            max_parts: 64,
            max_head: 4096,
        }
    }
}

/// One part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A chunk of a rendition.
    Rendition {
        /// Which.
        head: PartHead,
        /// MPEG-TS.
        body: Bytes,
    },
    /// How the job went; always the last part.
    Summary(Summary),
}

/// Why an answer cannot be read. The node is at fault: the segment may be sent to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The answer's `content-type` is not `multipart/mixed` with a boundary.
    #[error("the content type {0:?} is not multipart/mixed with a boundary")]
    ContentType(String),
    /// A head is longer than [`Limits::max_head`].
    #[error("a part's head is longer than {0} bytes")]
    HeadTooLong(usize),
    /// A body is longer than [`Limits::max_part`].
    #[error("a part of {got} bytes; at most {limit} are allowed")]
    PartTooLarge {
        /// The limit.
        limit: usize,
        /// What the head announces.
        got: u64,
    },
    /// More parts than [`Limits::max_parts`].
    #[error("more than {0} parts")]
    TooManyParts(usize),
    /// Something else stands where the delimiter should be.
    #[error("the delimiter between two parts is missing")]
    Delimiter,
    /// A header of a part is missing or not valid.
    #[error("the header {0} of a part is missing or not valid")]
    Header(&'static str),
    /// The summary is not JSON of [`Summary`].
    #[error("the summary is not valid: {0}")]
    Summary(String),
    /// The answer ended before its last part did.
    #[error("the answer ended before its summary")]
    Truncated,
}

impl MultipartError {
    /// Whether the answer was cut off, rather than wrong: the connection, not the node's
    /// answer, is at fault.
    pub fn is_truncated(&self) -> bool {
        *self == Self::Truncated
    }
}
