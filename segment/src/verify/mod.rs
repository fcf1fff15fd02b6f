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

mod defect;
#[cfg(test)]
mod tests;

use crate::h264::nal_units;
use crate::ladder::RenditionSpec;
use crate::media::{AccessUnit, Codec, VideoFormat};
use crate::shape::{Shape, assign_dts, reorder_depth};
use crate::time::Timestamp;
use crate::ts;
use crate::wire::job::Source;

pub use defect::Defect;

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
    /// Bits of video, without what MPEG-TS puts around them.
    pub bits: u64,
}

/// Reads a rendition and compares it with what was asked for.
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
    if demuxed.foreign > 0 {
        return Err(Defect::Foreign(demuxed.foreign));
    }
    if demuxed.codec != spec.codec {
        return Err(Defect::Stream {
            expected: spec.codec,
            got: demuxed.codec,
        });
    }
    let video = demuxed.video.as_slice();
    let frames = spec.frames(source.frames);
    if u32::try_from(video.len()) != Ok(frames) {
        return Err(Defect::Frames {
            expected: frames,
            got: video.len(),
        });
    }
    if let Some(empty) = video
        .iter()
        .position(|au| !spec.codec.has_picture(&au.data))
    {
        return Err(Defect::Empty(empty));
    }
    let format = check_format(video, spec, shape)?;
    check_times(video, spec, source, shape)?;
    Ok(Verified {
        frames,
        format,
        bits: video.iter().fold(0, |sum, au| add_bits(sum, au.data.len())),
    })
}

/// Four times what the mean bitrate gives in the segment's time and the second that a buffer may hold,
/// and a floor below which no segment is suspicious. An encoder that was told its limit comes nowhere near,
/// but where pictures are too much for any quantiser: what is above the `BANDWIDTH` of the master playlist
/// and below this is published, since the next node would do no better.
fn largest(spec: &RenditionSpec, source: &Source) -> u64 {
    const FLOOR: u64 = 1 << 16;
    const BUFFER: u64 = 90_000;
    let ticks = u64::try_from(source.duration.0).unwrap_or(0);
    let ticks = ticks.saturating_add(BUFFER);
    let mean = u64::from(spec.bitrate).saturating_mul(ticks) / (8 * 90_000);
    mean.saturating_mul(4).saturating_add(FLOOR)
}

fn add_bits(sum: u64, bytes: usize) -> u64 {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    sum.saturating_add(bytes.saturating_mul(8))
}

fn check_format(
    video: &[AccessUnit],
    spec: &RenditionSpec,
    shape: &Shape,
) -> Result<VideoFormat, Defect> {
    let first = video.first().filter(|au| au.idr).ok_or(Defect::NotIdr)?;
    let mut sps = None;
    for (name, set) in spec.codec.parameter_sets(&first.data) {
        let set = set.ok_or(Defect::NoParameterSet(name))?;
        sps = sps.or(Some(set));
    }
    let sps = sps.ok_or(Defect::NoParameterSet("SPS"))?;
    if let Some(frame) = video
        .iter()
        .position(|au| has_other_sps(au, spec.codec, sps))
    {
        return Err(Defect::OtherParameterSet(frame));
    }
    let format = spec.codec.check_sps(sps).map_err(Defect::ParameterSets)?;
    let (expected, got) = ((spec.width, spec.height), (format.width, format.height));
    if got != expected {
        return Err(Defect::Size { expected, got });
    }
    if format.interlaced {
        return Err(Defect::Interlaced);
    }
    if !format.samples.is_plain() {
        return Err(Defect::Samples(format.samples));
    }
    let (profile_idc, constraints) = spec.profile_idc();
    let asked = VideoFormat {
        profile_idc,
        constraints,
        level_idc: spec.level_idc,
        ..format
    };
    let (expected, got) = (asked.codec_string(), format.codec_string());
    if got != expected {
        return Err(Defect::Codec { expected, got });
    }
    let (expected, got) = (shape.colour, format.colour);
    if got != expected {
        return Err(Defect::Colour { expected, got });
    }
    let (expected, got) = (shape.sample_aspect, format.sample_aspect);
    if got != expected {
        return Err(Defect::SampleAspect { expected, got });
    }
    Ok(format)
}

/// Whether a player that reads on would be told something else than the first SPS.
fn has_other_sps(au: &AccessUnit, codec: Codec, first: &[u8]) -> bool {
    let mut all = nal_units(&au.data).filter(|nal| nal.first().is_some_and(|h| codec.is_sps(*h)));
    all.any(|sps| sps != first)
}

fn check_times(
    video: &[AccessUnit],
    spec: &RenditionSpec,
    source: &Source,
    shape: &Shape,
) -> Result<(), Defect> {
    let pts: Vec<_> = video.iter().map(|au| au.pts).collect();
    let (first, last) = (pts.iter().min().copied(), pts.iter().max().copied());
    let (expected, got) = (source.first_pts, first.unwrap_or(Timestamp(0)));
    if got != expected {
        return Err(Defect::FirstPts { expected, got });
    }
    let half = source.last_half_pts.filter(|_| spec.half_rate);
    let expected = half.unwrap_or(source.last_pts);
    let got = last.unwrap_or(Timestamp(0));
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
