//! Is this the answer to that question?
//!
//! A node is believed for what it sent, not for what it says. Before a rendition is published,
//! the ingest reads it and compares it with what the job asked for: the same pictures at the
//! same times, in the size that was asked for, decodable from the first byte, and with the
//! decoding times that let any other node's segment follow it. A [`Defect`] is a failure of
//! the node; another one may well do better.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use crate::h264::{H264Error, has_picture, parameter_sets, parse_sps};
use crate::ladder::RenditionSpec;
use crate::media::{AccessUnit, VideoFormat};
use crate::shape::{Ratio, Shape, assign_dts, reorder_depth};
use crate::time::Timestamp;
use crate::ts::{self, Damage, TsError};
use crate::wire::job::Source;

/// The question.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The rendition that was asked for.
    pub spec: &'a RenditionSpec,
    /// What it was to be made of.
    pub source: &'a Source,
    /// What every encoder must keep to.
    pub shape: &'a Shape,
}

/// A rendition that is fit to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Pictures.
    pub frames: u32,
    /// What its parameter sets say.
    pub format: VideoFormat,
}

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
    /// Not MPEG-TS with H.264.
    #[error("not readable: {0}")]
    Unreadable(#[from] TsError),
    /// MPEG-TS with something missing.
    #[error("damaged: {0:?}")]
    Damaged(Damage),
    /// Sound in a rendition of pictures.
    #[error("{0} audio frames where there should be none")]
    Audio(usize),
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
    /// The SPS cannot be read.
    #[error("the parameter sets are not valid: {0}")]
    ParameterSets(H264Error),
    /// Another size than asked for.
    #[error("a picture of {}x{}, {}x{} expected", got.0, got.1, expected.0, expected.1)]
    Size {
        /// Width and height asked for.
        expected: (u32, u32),
        /// Width and height that came.
        got: (u32, u32),
    },
    /// Coded as fields.
    #[error("interlaced")]
    Interlaced,
    /// A decoder for the profile that was asked for might not play it.
    #[error("profile {got}, at most {expected} expected")]
    Profile {
        /// `profile_idc` asked for.
        expected: u8,
        /// `profile_idc` that came.
        got: u8,
    },
    /// A decoder for the level that was asked for might not play it.
    #[error("level {got}, at most {expected} expected")]
    Level {
        /// `level_idc` asked for.
        expected: u8,
        /// `level_idc` that came.
        got: u8,
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
    /// A decoding time that is not what [`assign_dts`] says.
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
            Self::Frames { .. } => "frames",
            Self::Empty(_) => "empty",
            Self::NotIdr => "not-idr",
            Self::NoParameterSet(_) => "no-parameter-set",
            Self::ParameterSets(_) => "parameter-sets",
            Self::Size { .. } => "size",
            Self::Interlaced => "interlaced",
            Self::Profile { .. } => "profile",
            Self::Level { .. } => "level",
            Self::SampleAspect { .. } => "sample-aspect",
            Self::FirstPts { .. } => "first-pts",
            Self::LastPts { .. } => "last-pts",
            Self::Reorder { .. } => "reorder",
            Self::Dts { .. } => "dts",
        }
    }
}

/// Reads a rendition and compares it with what was asked for.
///
/// Colour is not compared: encoders state a default where the source was silent.
///
/// # Errors
/// The first defect that was found.
pub fn verify(ts: &[u8], expect: &Expectation<'_>) -> Result<Verified, Defect> {
    let Expectation {
        spec,
        source,
        shape,
    } = expect;
    let limit = largest(spec, source);
    let got = u64::try_from(ts.len()).unwrap_or(u64::MAX);
    if got > limit {
        return Err(Defect::TooLarge { limit, got });
    }
    let demuxed = ts::read(ts, source.first_pts, &ts::Limits::default())?;
    if demuxed.damage.any() {
        return Err(Defect::Damaged(demuxed.damage));
    }
    if !demuxed.audio.is_empty() {
        return Err(Defect::Audio(demuxed.audio.len()));
    }
    let video = demuxed.video.as_slice();
    if u32::try_from(video.len()) != Ok(source.frames) {
        return Err(Defect::Frames {
            expected: source.frames,
            got: video.len(),
        });
    }
    if let Some(empty) = video.iter().position(|au| !has_picture(&au.data)) {
        return Err(Defect::Empty(empty));
    }
    let format = check_format(video, spec, shape)?;
    check_times(video, source, shape)?;
    Ok(Verified {
        frames: source.frames,
        format,
    })
}

/// Four times the mean bitrate, and a floor below which no segment is suspicious.
fn largest(spec: &RenditionSpec, source: &Source) -> u64 {
    const FLOOR: u64 = 1 << 20;
    let ticks = u64::try_from(source.duration.0).unwrap_or(0);
    let mean = u64::from(spec.bitrate).saturating_mul(ticks) / (8 * 90_000);
    mean.saturating_mul(4).saturating_add(FLOOR)
}

fn check_format(
    video: &[AccessUnit],
    spec: &RenditionSpec,
    shape: &Shape,
) -> Result<VideoFormat, Defect> {
    let first = video.first().filter(|au| au.idr).ok_or(Defect::NotIdr)?;
    let (sps, pps) = parameter_sets(&first.data);
    let sps = sps.ok_or(Defect::NoParameterSet("SPS"))?;
    pps.ok_or(Defect::NoParameterSet("PPS"))?;
    let format = parse_sps(sps).map_err(Defect::ParameterSets)?;
    let (expected, got) = ((spec.width, spec.height), (format.width, format.height));
    if got != expected {
        return Err(Defect::Size { expected, got });
    }
    if format.interlaced {
        return Err(Defect::Interlaced);
    }
    let (expected, got) = (spec.profile.idc().0, format.profile_idc);
    if got > expected {
        return Err(Defect::Profile { expected, got });
    }
    let (expected, got) = (spec.level_idc, format.level_idc);
    if got > expected {
        return Err(Defect::Level { expected, got });
    }
    let (expected, got) = (shape.sample_aspect, format.sample_aspect);
    if got != expected {
        return Err(Defect::SampleAspect { expected, got });
    }
    Ok(format)
}

fn check_times(video: &[AccessUnit], source: &Source, shape: &Shape) -> Result<(), Defect> {
    let pts: Vec<_> = video.iter().map(|au| au.pts).collect();
    let (first, last) = (pts.iter().min().copied(), pts.iter().max().copied());
    let (expected, got) = (source.first_pts, first.unwrap_or(Timestamp(0)));
    if got != expected {
        return Err(Defect::FirstPts { expected, got });
    }
    let (expected, got) = (source.last_pts, last.unwrap_or(Timestamp(0)));
    if got != expected {
        return Err(Defect::LastPts { expected, got });
    }
    let depth = reorder_depth(&pts);
    if depth > usize::from(shape.reorder_depth) {
        return Err(Defect::Reorder {
            expected: shape.reorder_depth,
            got: depth,
        });
    }
    let dts = assign_dts(&pts, shape.dts_offset);
    match video
        .iter()
        .zip(&dts)
        .enumerate()
        .find(|(_, (au, dts))| au.dts != **dts)
    {
        Some((frame, (au, &expected))) => Err(Defect::Dts {
            frame,
            expected,
            got: au.dts,
        }),
        None => Ok(()),
    }
}
