//! What is done to an encoder's pictures before they leave: nothing in them may tell which
//! encoder it was, and all of them follow the shape.

use bytes::Bytes;
use rackcast_segment::h264::nal_units;
use rackcast_segment::h265;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{AccessUnit, Codec};
use rackcast_segment::shape::assign_dts;
use rackcast_segment::time::Timestamp;

use super::error::PipelineError;
use super::graph::Key;
use super::sps::{self, Pinned};

const NAL_SEI: u8 = 6;
const NAL_SPS: u8 = 7;
const NAL_AUD: u8 = 9;

/// Decoding times by the shared rule, the parameter sets as pinned.
pub(super) fn pictures(
    coded: impl Iterator<Item = (Timestamp, Bytes)>,
    spec: &RenditionSpec,
    key: &Key,
) -> Result<Vec<AccessUnit>, PipelineError> {
    let pinned = Pinned {
        profile: spec.profile,
        level_idc: spec.level_idc,
        shape: key.shape,
        frame_rate: spec.frame_rate(key.frame_rate),
    };
    let (shown, data): (Vec<_>, Vec<_>) = coded.unzip();
    let decoded = assign_dts(&shown, key.shape.dts_offset);
    shown
        .into_iter()
        .zip(decoded)
        .zip(data)
        .enumerate()
        .map(|(i, ((pts, dts), data))| {
            let data = match spec.codec {
                Codec::Hevc => behind_broken_headers(data),
                Codec::H264 => data,
            };
            let idr = spec.codec.is_idr(&data);
            if idr != (i == 0) {
                let text = format!("{}: picture {i} breaks the closed GOP", spec.name);
                return Err(PipelineError::Internal(text));
            }
            let data = match spec.codec {
                _ if !idr => data,
                Codec::H264 => normalised(&data, &pinned)?,
                Codec::Hevc => normalised_hevc(&data, spec.level_idc)?,
            };
            Ok(AccessUnit {
                pts,
                dts,
                idr,
                data,
            })
        })
        .collect()
}

/// The access unit with the pinned parameter set and without the encoder's signature.
fn normalised(data: &[u8], pinned: &Pinned) -> Result<Bytes, PipelineError> {
    let mut out = Vec::with_capacity(data.len() + 64);
    for nal in nal_units(data) {
        let kind = nal.first().map_or(0, |h| h & 0x1f);
        if kind == NAL_AUD || (kind == NAL_SEI && is_private(nal)) {
            continue;
        }
        out.extend_from_slice(&[0, 0, 0, 1]);
        if kind == NAL_SPS {
            let sps =
                sps::rewrite(nal, pinned).map_err(|e| PipelineError::Internal(e.to_string()))?;
            out.extend_from_slice(&sps);
        } else {
            out.extend_from_slice(nal);
        }
    }
    Ok(out.into())
}

/// The same of HEVC, whose encoders are told all that the VUI says.
fn normalised_hevc(data: &[u8], level_idc: u8) -> Result<Bytes, PipelineError> {
    let mut out = Vec::with_capacity(data.len() + 64);
    for nal in nal_units(data) {
        let kind = nal.first().map(|header| h265::NalType::of(*header));
        // Behind a header of two bytes.
        let private = || nal.get(1..).is_some_and(is_private);
        match kind {
            Some(h265::NalType::Delimiter) => continue,
            Some(h265::NalType::Sei) if private() => continue,
            _ => {}
        }
        let nal = h265::pin_level(nal, level_idc);
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend(nal.map_err(|e| PipelineError::Internal(e.to_string()))?);
    }
    Ok(out.into())
}

/// x265enc (1.22) puts a copy of the parameter sets before those that x265 repeats, and behind its PPS whatever lay in
/// memory, start codes included: a picture begins with its last VPS.
fn behind_broken_headers(data: Bytes) -> Bytes {
    const VPS: [u8; 5] = [0, 0, 1, 0x40, 1];
    match data.windows(VPS.len()).rposition(|window| window == VPS) {
        Some(at) => data.slice(at..),
        None => data,
    }
}

/// Buffering period, picture timing (they hang on parts of the VUI that are gone) and user
/// data (x264 writes its settings into it). Captions are of another kind and stay.
fn is_private(sei: &[u8]) -> bool {
    matches!(sei.get(1), Some(0 | 1 | 5))
}
