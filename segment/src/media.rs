//! What a protocol layer yields: access units, audio frames and their configurations.
//!
//! The same types are the input of the segmenter, of the packagers and of the TS writer.
//! Payloads are [`Bytes`]: passing one on never copies it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::shape::{Colour, Ratio};
use crate::time::{Ticks, Timestamp};

/// One coded picture, H.264 in Annex B form (start codes, no access unit delimiter needed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Presentation time.
    pub pts: Timestamp,
    /// Decoding time; never above `pts`, strictly growing within a stream.
    pub dts: Timestamp,
    /// An IDR picture: nothing after it refers to anything before it.
    pub idr: bool,
    /// The NAL units with start codes. An IDR carries its SPS and PPS in front.
    pub data: Bytes,
}

/// One AAC frame without ADTS header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    /// Presentation time.
    pub pts: Timestamp,
    /// The raw frame (`raw_data_block`).
    pub data: Bytes,
}

/// What a decoder must know of the video before the first picture; from the parameter sets.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoConfig {
    /// Sequence parameter set, one NAL unit without start code.
    pub sps: Bytes,
    /// Picture parameter set, one NAL unit without start code.
    pub pps: Bytes,
    /// What the parameter sets say.
    pub format: VideoFormat,
}

/// The video's format, as the parameter sets state it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoFormat {
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// H.264 `profile_idc`.
    pub profile_idc: u8,
    /// H.264 constraint flags, as in the third byte of the SPS.
    pub constraints: u8,
    /// H.264 `level_idc`: 31 is level 3.1.
    pub level_idc: u8,
    /// Frames a second as the VUI states them, if it does.
    pub frame_rate: Option<Ratio>,
    /// Shape of a pixel; 1:1 where the VUI is silent.
    pub sample_aspect: Ratio,
    /// Colour description.
    pub colour: Colour,
    /// Coded as fields (or a mixture of fields and frames).
    pub interlaced: bool,
}

/// What a decoder must know of the audio before the first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioConfig {
    /// MPEG-4 AudioSpecificConfig as the publisher sent it.
    pub asc: Bytes,
    /// Audio object type: 2 is AAC-LC, 5 HE-AAC.
    pub object_type: u8,
    /// Samples a second of the core codec.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
}

impl AudioConfig {
    /// How long one frame of 1024 samples lasts, rounded down.
    pub fn frame_duration(&self) -> Ticks {
        self.frames_duration(1)
    }

    /// How long so many frames last, rounded down once: many frames do not add up the error.
    pub fn frames_duration(&self, frames: usize) -> Ticks {
        let samples = 1024i64.saturating_mul(i64::try_from(frames).unwrap_or(i64::MAX));
        let ticks = samples.saturating_mul(crate::time::TICKS_PER_SECOND);
        Ticks(ticks / i64::from(self.sample_rate.max(1)))
    }
}

/// What happens in a published stream, in the order in which it was published.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaEvent {
    /// The video's configuration, before its first picture and again on a change.
    VideoConfig(VideoConfig),
    /// The audio's configuration, before its first frame and again on a change.
    AudioConfig(AudioConfig),
    /// A picture.
    Video(AccessUnit),
    /// An audio frame.
    Audio(AudioFrame),
}
