//! The shape of the bitstream that a job pins.
//!
//! Segments of one rendition come from unlike encoders on unlike machines and are played one
//! after another. What a player's decoder must find unchanged from segment to segment is
//! therefore not left to the encoder: the ingest decides it once a stream and every job
//! carries it.

mod choose;
mod dts;
mod rate;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Ticks;

pub use choose::{MAX_INTERVAL, REORDER_DEPTH};
pub use dts::{assign_dts, reorder_depth};

/// A positive fraction: a frame rate or an aspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Ratio {
    num: u32,
    den: u32,
}

impl Ratio {
    /// One to one.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// The fraction in lowest terms; `None` if either part is zero.
    pub fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let (mut a, mut b) = (num, den);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Some(Self {
            num: num / a,
            den: den / a,
        })
    }

    /// Numerator.
    pub fn num(self) -> u32 {
        self.num
    }

    /// Denominator.
    pub fn den(self) -> u32 {
        self.den
    }

    /// Half of it.
    pub fn half(self) -> Self {
        let (num, den) = match self.den.checked_mul(2) {
            _ if self.num.is_multiple_of(2) => (self.num / 2, self.den),
            Some(den) => (self.num, den),
            None => (self.num.div_ceil(2), self.den),
        };
        Self { num, den }
    }

    /// As a floating point number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl TryFrom<(u32, u32)> for Ratio {
    type Error = &'static str;
    fn try_from((num, den): (u32, u32)) -> Result<Self, Self::Error> {
        Self::new(num, den).ok_or("a ratio needs two positive numbers")
    }
}

impl From<Ratio> for (u32, u32) {
    fn from(r: Ratio) -> Self {
        (r.num, r.den)
    }
}

/// Colour description, as code points of ITU-T H.273; 2 is "unspecified".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colour {
    /// `colour_primaries`.
    pub primaries: u8,
    /// `transfer_characteristics`.
    pub transfer: u8,
    /// `matrix_coefficients`.
    pub matrix: u8,
    /// Full range (0-255) instead of video range (16-235).
    pub full_range: bool,
}

impl Default for Colour {
    fn default() -> Self {
        Self {
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full_range: false,
        }
    }
}

/// H.264 profiles that a rendition may be encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Constrained Baseline: no B-frames, no CABAC.
    ConstrainedBaseline,
    /// Main.
    Main,
    /// High.
    High,
}

impl Profile {
    /// `profile_idc` and constraint flags as in the SPS and in `CODECS`.
    pub fn idc(self) -> (u8, u8) {
        match self {
            Self::ConstrainedBaseline => (66, 0xc0),
            Self::Main => (77, 0x40),
            Self::High => (100, 0x00),
        }
    }
}

/// What all renditions of a stream have in common, fixed for an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The most frames by which decoding order may differ from presentation order. An encoder
    /// may use fewer, never more.
    pub reorder_depth: u8,
    /// How far the first DTS of a segment lies before its first PTS. The same for every
    /// segment and encoder, so that DTS is contiguous over the seams: in decoding order the
    /// n-th DTS is the n-th smallest PTS less this.
    pub dts_offset: Ticks,
    /// Colour description, passed through from the source.
    pub colour: Colour,
    /// Shape of a pixel in every rendition.
    pub sample_aspect: Ratio,
}
