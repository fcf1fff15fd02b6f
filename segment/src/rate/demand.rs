//! How many bits a second pictures need, by the quality at which they are coded.
//!
//! Bits fall as the quantiser grows, by about half every four steps at the rates of a ladder: two in
//! grain, ten where there is little left to save. The law here is a halving every three steps. Where it is
//! really four or five the error shrinks to a third with each result, where it is two it halves with
//! changing sign; with a law of four and more, grain would swing.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::Ticks;

use super::per_second;

/// Encoders of which an account remembers something.
pub const MAX_ENCODERS: usize = 4;
/// Qualities that are asked for, in hundredths of a step: 16 is as good as the source to the eye, and what
/// is saved by not going beyond it is saved for good.
pub const QUALITY_RANGE: RangeInclusive<u32> = 1_600..=4_800;

/// Hundredths of a step that halve the bits.
const HALVING: f64 = 300.0;
/// What a picture is taken to need before anything is known: a tenth of a bit for each pixel at quality 23.
const TYPICAL_QUALITY: f64 = 2_300.0;
const TYPICAL_BITS: f64 = 0.1;
/// No demand is beyond these: a bit a second at the best quality, and 2^40 at the worst.
const RANGE: RangeInclusive<i32> = 0..=20_000;
const MAX_NAME: usize = 32;

/// Which encoder, in which setting: what makes bits comparable. Letters, digits, `.`, `-` and `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EncoderName(String);

/// Why a name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an encoder's name has 1 to {MAX_NAME} letters, digits, '.', '-' and '/'")]
pub struct InvalidEncoderName;

/// The demand of a stream's pictures in one size: what quality needs what rate, in hundredths of a step at
/// a bit a second. Travels between versions, as [`Rate`](super::Rate) does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// By whatever encoder told it last, or what is typical.
    newest: i32,
    /// By encoder, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    by: Vec<(EncoderName, i32)>,
}

impl Demand {
    /// What is assumed of pictures of which nothing is known; `pixels` a second.
    pub fn typical(pixels: f64) -> Self {
        Self {
            newest: demand(TYPICAL_QUALITY, pixels * TYPICAL_BITS),
            by: Vec::new(),
        }
    }

    /// The quality that needs so many bits a second, within [`QUALITY_RANGE`].
    pub(super) fn quality(&self, encoder: &EncoderName, bitrate: u32) -> u32 {
        let own = self.by.iter().find(|(name, _)| name == encoder);
        let demand = own.map_or(self.newest, |(_, demand)| *demand);
        let quality = f64::from(demand) - HALVING * f64::from(bitrate.max(1)).log2();
        let (least, most) = (*QUALITY_RANGE.start(), *QUALITY_RANGE.end());
        (quality.round().max(0.0) as u32).clamp(least, most)
    }

    /// An encoder made `bits` of this much media at a quality. `capped`: it was its limit, not the
    /// quality, that ended it.
    pub(super) fn learn(
        &mut self,
        encoder: &EncoderName,
        quality: u32,
        bits: u64,
        duration: Ticks,
        capped: bool,
    ) {
        let more = if capped { CAPPED } else { 0.0 };
        let demand = demand(f64::from(quality) + more, per_second(bits, duration));
        self.by.retain(|(name, _)| name != encoder);
        self.by.insert(0, (encoder.clone(), demand));
        self.by.truncate(MAX_ENCODERS);
        self.newest = demand;
    }

    pub(crate) fn is_sane(&self) -> bool {
        let mut all = self.by.iter().map(|(_, demand)| demand);
        self.by.len() <= MAX_ENCODERS
            && RANGE.contains(&self.newest)
            && all.all(|d| RANGE.contains(d))
    }
}

/// What pictures need that met the limit: at least so much more than was seen.
const CAPPED: f64 = 100.0;

fn demand(quality: f64, bits: f64) -> i32 {
    let demand = (quality + HALVING * bits.max(1.0).log2()).round() as i32;
    demand.clamp(*RANGE.start(), *RANGE.end())
}

impl EncoderName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EncoderName {
    type Err = InvalidEncoderName;
    fn from_str(name: &str) -> Result<Self, InvalidEncoderName> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'/');
        match (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits) {
            true => Ok(Self(name.to_owned())),
            false => Err(InvalidEncoderName),
        }
    }
}

impl TryFrom<String> for EncoderName {
    type Error = InvalidEncoderName;
    fn try_from(name: String) -> Result<Self, InvalidEncoderName> {
        name.parse()
    }
}

impl From<EncoderName> for String {
    fn from(name: EncoderName) -> String {
        name.0
    }
}

impl fmt::Display for EncoderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Ticks = Ticks(90_000);

    fn name(name: &str) -> EncoderName {
        name.parse().unwrap()
    }

    #[test]
    fn what_was_made_at_a_quality_is_made_at_it_again() {
        let mut demand = Demand::typical(1e6);
        assert_eq!(demand.quality(&name("a"), 100_000), 2_300);
        assert_eq!(demand.quality(&name("a"), 200_000), 2_000, "twice the bits");
        demand.learn(&name("a"), 2_650, 400_000, SECOND, false);
        assert_eq!(demand.quality(&name("a"), 400_000), 2_650);
        assert_eq!(demand.quality(&name("a"), 100_000), 3_250);
        assert_eq!(
            demand.quality(&name("b"), 400_000),
            2_650,
            "another begins with it"
        );
        demand.learn(&name("b"), 2_800, 400_000, SECOND, false);
        assert_eq!(
            demand.quality(&name("a"), 400_000),
            2_650,
            "and has its own then"
        );
        assert_eq!(demand.quality(&name("b"), 400_000), 2_800);
        demand.learn(&name("b"), 2_800, 400_000, SECOND, true);
        assert_eq!(
            demand.quality(&name("b"), 400_000),
            2_900,
            "it was cut short"
        );
    }

    #[test]
    fn it_is_bounded_whatever_comes() {
        let mut demand = Demand::typical(0.0);
        for (encoder, bits) in ["a", "b", "c", "d", "e", "f"]
            .iter()
            .zip([0, 1, u64::MAX, 7, 8, 9])
        {
            demand.learn(&name(encoder), 2_000, bits, Ticks(0), true);
            assert!(demand.is_sane() && demand.by.len() <= MAX_ENCODERS);
            assert!(QUALITY_RANGE.contains(&demand.quality(&name("a"), 1)));
            assert!(QUALITY_RANGE.contains(&demand.quality(&name("a"), u32::MAX)));
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!("x264/veryfast".parse::<EncoderName>().is_ok());
        for bad in ["", "a b", "ä", &"x".repeat(33)] {
            assert!(bad.parse::<EncoderName>().is_err(), "{bad}");
        }
    }
}
