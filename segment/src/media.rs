//! What a protocol layer yields: access units, audio frames and their configurations.
//!
//! The same types are the input of the segmenter, of the packagers and of the TS writer.
//! Payloads are [`Bytes`]: passing one on never copies it.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::shape::{Colour, Ratio};
use crate::time::{Ticks, Timestamp};

/// One coded picture in Annex B form (start codes, no access unit delimiter needed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Presentation time.
    pub pts: Timestamp,
    /// Decoding time; never above `pts`, strictly growing within a stream.
    pub dts: Timestamp,
    /// An IDR picture: nothing after it refers to anything before it.
    pub idr: bool,
    /// The NAL units with start codes. An IDR carries its parameter sets in front.
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

/// How the video is coded. Pictures coded otherwise do not follow from those before.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoConfig {
    /// Sequence parameter set, one NAL unit without start code.
    pub sps: Bytes,
    /// What it says.
    pub format: VideoFormat,
}

/// The video's format, as the parameter sets state it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoFormat {
    /// What it is coded in. On the wire only where it is not H.264, which is all that peers before this
    /// field know.
    #[serde(default, skip_serializing_if = "Codec::is_h264")]
    pub codec: Codec,
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// `profile_idc` of H.264, `general_profile_idc` of HEVC.
    pub profile_idc: u8,
    /// The first byte of the constraint flags.
    pub constraints: u8,
    /// `level_idc` of H.264 (31 is level 3.1), `general_level_idc` of HEVC (93 is).
    pub level_idc: u8,
    /// Frames a second as the VUI states them, if it does.
    pub frame_rate: Option<Ratio>,
    /// Shape of a pixel; 1:1 where the VUI is silent.
    pub sample_aspect: Ratio,
    /// Colour description.
    pub colour: Colour,
    /// Coded as fields (or a mixture of fields and frames).
    pub interlaced: bool,
    /// Chroma and depth. On the wire only where they are not 4:2:0 in 8 bits, which is all that
    /// peers before this field know.
    #[serde(default, skip_serializing_if = "Samples::is_plain")]
    pub samples: Samples,
}

/// How pictures are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264, AVC.
    #[default]
    H264,
    /// H.265.
    Hevc,
}

impl Codec {
    /// As it stands in JSON, in tags and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
        }
    }

    /// What everyone decodes.
    pub fn is_h264(&self) -> bool {
        *self == Self::H264
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
        })
    }
}

/// How the samples of a picture are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// Which of them have a colour.
    pub chroma: Chroma,
    /// Bits of each.
    pub bits: u8,
}

/// How many samples have a colour of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Chroma {
    /// None: grey.
    #[serde(rename = "4:0:0")]
    Grey,
    /// One in four, what every player decodes.
    #[serde(rename = "4:2:0")]
    Quarter,
    /// One in two.
    #[serde(rename = "4:2:2")]
    Half,
    /// Each.
    #[serde(rename = "4:4:4")]
    Full,
}

impl Samples {
    /// 4:2:0 in 8 bits: what renditions have, and what any decoder takes.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            chroma: Chroma::Quarter,
            bits: 8,
        }
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chroma = match self.chroma {
            Chroma::Grey => "4:0:0",
            Chroma::Quarter => "4:2:0",
            Chroma::Half => "4:2:2",
            Chroma::Full => "4:4:4",
        };
        write!(f, "{chroma} in {} bits", self.bits)
    }
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
