//! What can be wrong with an answer, with the figures that show it.

use crate::codec::CodecError;
use crate::media::{Codec, Samples};
use crate::shape::{Colour, Ratio};
use crate::time::Timestamp;
use crate::ts::{Damage, TsError};

/// What is wrong with an answer. In all of them the node is at fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Defect {
    /// More bytes than the bitrate can explain.
    #[error("{got} bytes, at most {limit} expected")]
    TooLarge {
        /// The most that was expected.
        limit: u64,
        /// Bytes that came.
        got: u64,
    },
    /// Not MPEG-TS with pictures.
    #[error("not readable: {0}")]
    Unreadable(#[from] TsError),
    /// MPEG-TS with something missing.
    #[error("damaged: {0:?}")]
    Damaged(Damage),
    /// Sound in a rendition of pictures.
    #[error("{0} audio frames where there should be none")]
    Audio(usize),
    /// Other streams or programs: players may play what is not looked at here.
    #[error("{0} packets, streams or programs beside the pictures'")]
    Foreign(u32),
    /// Pictures in another codec.
    #[error("a stream of {got}, {expected} expected")]
    Stream {
        /// Asked for.
        expected: Codec,
        /// What came.
        got: Codec,
    },
    /// Too few or too many pictures.
    #[error("{got} frames, {expected} expected")]
    Frames {
        /// The source's.
        expected: u32,
        /// The answer's.
        got: usize,
    },
    /// A unit without a picture.
    #[error("frame {0} holds no picture")]
    Empty(usize),
    /// The first picture is not IDR.
    #[error("the first frame is not an IDR picture")]
    NotIdr,
    /// The first picture has no SPS or no PPS in front.
    #[error("the first frame carries no {0}")]
    NoParameterSet(&'static str),
    /// A later SPS is another one: what was compared is not what is played.
    #[error("frame {0} carries another SPS than the first")]
    OtherParameterSet(usize),
    /// The SPS cannot be read.
    #[error("the parameter sets are not valid: {0}")]
    ParameterSets(CodecError),
    /// Another size than asked for.
    #[error("a picture of {}x{}, {}x{} expected", got.0, got.1, expected.0, expected.1)]
    Size {
        /// Width and height asked for.
        expected: (u32, u32),
        /// Width and height that came.
        got: (u32, u32),
    },
    /// Samples that not every player decodes.
    #[error("samples are {0}, {plain} expected", plain = Samples::default())]
    Samples(Samples),
    /// Coded as fields.
    #[error("interlaced")]
    Interlaced,
    /// Another profile, constraints or level than asked for, which is what playlists promise.
    #[error("{got}, {expected} expected")]
    Codec {
        /// Asked for.
        expected: String,
        /// What came.
        got: String,
    },
    /// Another colour description: players change colour in mid-stream.
    #[error("colour {got:?}, {expected:?} expected")]
    Colour {
        /// The shape's.
        expected: Colour,
        /// The answer's.
        got: Colour,
    },
    /// Pixels of another shape.
    #[error("sample aspect {got}, {expected} expected")]
    SampleAspect {
        /// The shape's.
        expected: Ratio,
        /// The answer's.
        got: Ratio,
    },
    /// The smallest presentation time is not the source's.
    #[error("the first frame is presented at {}, {} expected", got.0, expected.0)]
    FirstPts {
        /// The source's.
        expected: Timestamp,
        /// The answer's.
        got: Timestamp,
    },
    /// The largest presentation time is not the source's.
    #[error("the last frame is presented at {}, {} expected", got.0, expected.0)]
    LastPts {
        /// The source's.
        expected: Timestamp,
        /// The answer's.
        got: Timestamp,
    },
    /// Decoding order differs more from presentation order than the shape allows.
    #[error("reordered by {got} frames, at most {expected} expected")]
    Reorder {
        /// The shape's.
        expected: u8,
        /// The answer's.
        got: usize,
    },
    /// A decoding time that is not what [`crate::shape::assign_dts`] says.
    #[error("frame {frame} is decoded at {}, {} expected", got.0, expected.0)]
    Dts {
        /// The frame's number in decoding order, from 0.
        frame: usize,
        /// What the shape says.
        expected: Timestamp,
        /// The answer's.
        got: Timestamp,
    },
}

impl Defect {
    /// The kind of defect as a metric's label and in logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Unreadable(_) => "unreadable",
            Self::Damaged(_) => "damaged",
            Self::Audio(_) => "audio",
            Self::Foreign(_) => "foreign",
            Self::Stream { .. } => "stream",
            Self::Frames { .. } => "frames",
            Self::Empty(_) => "empty",
            Self::NotIdr => "not-idr",
            Self::NoParameterSet(_) => "no-parameter-set",
            Self::OtherParameterSet(_) => "other-parameter-set",
            Self::ParameterSets(_) => "parameter-sets",
            Self::Size { .. } => "size",
            Self::Samples(_) => "samples",
            Self::Interlaced => "interlaced",
            Self::Codec { .. } => "codec",
            Self::Colour { .. } => "colour",
            Self::SampleAspect { .. } => "sample-aspect",
            Self::FirstPts { .. } => "first-pts",
            Self::LastPts { .. } => "last-pts",
            Self::Reorder { .. } => "reorder",
            Self::Dts { .. } => "dts",
        }
    }
}
