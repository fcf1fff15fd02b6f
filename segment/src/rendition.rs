//! One rendition of one source: what a job asks for, and what follows from it.

use serde::{Deserialize, Serialize};

use crate::h265;
use crate::id::RenditionName;
use crate::media::Codec;
use crate::shape::{Profile, Ratio, Shape};

/// One rendition of one source, as a job asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenditionSpec {
    /// The rendition's name.
    pub name: RenditionName,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Mean video bitrate in bits a second.
    pub bitrate: u32,
    /// Of H.264.
    pub profile: Profile,
    /// `level_idc` of its codec, sufficient for size and rate.
    pub level_idc: u8,
    /// Every second picture of the source in the order in which they are shown, from the segment's
    /// first on, instead of all. On the wire only where it is asked for: nodes before this field
    /// refuse such a job.
    #[serde(default, skip_serializing_if = "is_false")]
    pub half_rate: bool,
    /// What it is to be coded in; HEVC always in the Main profile. On the wire only where it is not
    /// H.264: nodes before this field refuse such a job.
    #[serde(default, skip_serializing_if = "Codec::is_h264")]
    pub codec: Codec,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl RenditionSpec {
    /// The pictures of a segment of `frames`.
    pub fn frames(&self, frames: u32) -> u32 {
        match self.half_rate {
            true => frames.div_ceil(2),
            false => frames,
        }
    }

    /// The same in HEVC, of a source that has `rate`.
    pub fn in_hevc(self, rate: Ratio) -> Self {
        let rate = self.frame_rate(rate).as_f64();
        Self {
            level_idc: h265::level_for(self.width, self.height, rate, self.bitrate),
            codec: Codec::Hevc,
            ..self
        }
    }

    /// By how many pictures it may reorder: as many as fit into the shape's offset of decoding times,
    /// which counts the source's.
    pub fn reorder_depth(&self, shape: &Shape) -> u8 {
        match (self.codec, self.profile) {
            (Codec::H264, Profile::ConstrainedBaseline) => 0,
            _ if self.half_rate => shape.reorder_depth / 2,
            _ => shape.reorder_depth,
        }
    }

    /// What its parameter sets say of profile, constraints and level.
    pub fn profile_idc(&self) -> (u8, u8) {
        match self.codec {
            Codec::H264 => self.profile.idc(),
            Codec::Hevc => (h265::MAIN, h265::MAIN_CONSTRAINTS),
        }
    }

    /// Those of a segment's pictures, in the order in which they are shown, that it has.
    pub fn pick<T>(&self, shown: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        shown
            .into_iter()
            .step_by(if self.half_rate { 2 } else { 1 })
    }

    /// Its frames a second, of a source that has `rate`.
    pub fn frame_rate(&self, rate: Ratio) -> Ratio {
        match self.half_rate {
            true => rate.half(),
            false => rate,
        }
    }
}
