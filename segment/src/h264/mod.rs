//! H.264 at the level of NAL units and parameter sets.
//!
//! A segment is cut, sent, checked and served without decoding a picture. What that needs of
//! H.264 is here: the NAL units of an access unit ([`nal_units`]), the two byte-stream forms
//! (RTMP's length prefixes become Annex B at the edge, [`avcc_to_annex_b`]), and what the
//! parameter sets say ([`parse_sps`], [`parse_avc_decoder_config`]).
//!
//! All of it reads what a publisher or a transcode node sent: every function returns an error
//! or a plain answer for any bytes, and a retry with the same bytes never helps.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod avcc;
mod escape;
mod level;
mod nal;
mod sets;
mod sps;
mod tolerant;

pub use avcc::{AvcConfig, avcc_to_annex_b, parse_avc_decoder_config};
pub use escape::{escape, unescape};
pub(crate) use level::level_for;
pub use nal::{
    NalType, before_picture, first_nal_type, has_picture, is_idr, nal_units, parameter_sets,
    strip_delimiter,
};
pub(crate) use nal::{headers, strip};
pub use sets::ParameterSets;
pub use sps::{MAX_DIMENSION, check_sps, codec_string, parse_sps};

/// Why bytes are not H.264 that Rackcast can carry. The input is at fault: a retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum H264Error {
    /// The input ends inside of something.
    #[error("the {0} is cut short")]
    Truncated(&'static str),
    /// The length prefix is neither 1, 2 nor 4 bytes long.
    #[error("a NAL length of {0} bytes is not allowed; 1, 2 and 4 are")]
    LengthSize(usize),
    /// The converted access unit would be larger than the caller allows.
    #[error("the access unit is larger than the limit of {0} bytes")]
    TooLarge(usize),
    /// An `AVCDecoderConfigurationRecord` of another version than 1.
    #[error("version {0} of the AVC configuration record is not known")]
    Version(u8),
    /// There is no parameter set of this kind.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// The bytes are not the NAL unit that they should be.
    #[error("NAL unit type {got} where {expected} should be")]
    NalType {
        /// The type that belongs here.
        expected: u8,
        /// The type that is here.
        got: u8,
    },
    /// More parameter sets than are kept of a stream.
    #[error("parameter sets of more than {0} bytes together are not kept")]
    Sets(usize),
    /// The sequence parameter set breaks the standard.
    #[error("the sequence parameter set is not valid: {0}")]
    Sps(String),
    /// Legal H.264 that nothing downstream could decode: say so to the publisher.
    #[error("{0} is not supported; send 4:2:0 or 4:2:2 video in 8 or 10 bits")]
    Unsupported(String),
}
