//! HEVC (H.265) at the level of NAL units and parameter sets: as much as a segment needs to be cut,
//! carried and checked without decoding a picture. [`crate::codec`] chooses between this and
//! [`crate::h264`].
//!
//! All of it reads what a publisher or a transcode node sent: every function returns an error or a
//! plain answer for any bytes, and a retry with the same bytes never helps.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod bits;
mod level;
mod nal;
mod pin;
mod sps;

pub use level::level_for;
pub use nal::NalType;
pub use pin::{MAIN, MAIN_CONSTRAINTS, pin_level};
pub use sps::{codec_string, parse_sps};

/// Why bytes are not HEVC that Rackcast can carry. The input is at fault: a retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum H265Error {
    /// The input ends inside of something, or a number has no end.
    #[error("the {0} is cut short")]
    Truncated(&'static str),
    /// The bytes are not the NAL unit that they should be.
    #[error("this is no {0}")]
    NalType(&'static str),
    /// The sequence parameter set breaks the standard.
    #[error("the sequence parameter set is not valid: {0}")]
    Sps(&'static str),
    /// Legal HEVC that nothing downstream could decode.
    #[error("{0} is not supported; send 4:2:0 or 4:2:2 video in 8 or 10 bits, coded as frames")]
    Unsupported(String),
}
