//! The ladder: which renditions a stream is transcoded into.
//!
//! A [`Ladder`] is what an operator or a webhook asks for; [`Ladder::resolve`] makes of it, for
//! one source, the [`RenditionSpec`]s that a job carries: never above the source, the source's
//! aspect kept, every dimension even.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::h264::level_for;
use crate::id::{InvalidName, RenditionName};
use crate::media::Codec;
use crate::shape::Profile;

pub use crate::rendition::RenditionSpec;

/// The most rungs a ladder may have.
pub const MAX_RUNGS: usize = 12;
/// The bounds of a rung's height in pixels.
pub const HEIGHT_RANGE: std::ops::RangeInclusive<u32> = 64..=4320;
/// The bounds of a rung's bitrate in bits a second.
pub const BITRATE_RANGE: std::ops::RangeInclusive<u32> = 20_000..=100_000_000;

/// One asked rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// The rendition's name, as it stands in addresses.
    pub name: RenditionName,
    /// Height in pixels.
    pub height: u32,
    /// Mean video bitrate in bits a second.
    pub bitrate: u32,
    /// Profile.
    pub profile: Profile,
    /// Every second picture of the source instead of all.
    pub half_rate: bool,
}

/// Asked renditions, highest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ladder(Vec<Rung>);

/// Why a ladder was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLadder {
    /// More rungs than [`MAX_RUNGS`].
    #[error("{0} rungs; at most {MAX_RUNGS} are allowed")]
    TooMany(usize),
    /// A rung that is not `NAME@BITRATE` or `NAME:HEIGHT@BITRATE`, with words behind it.
    #[error(
        "{0:?} is not a rung; write 720p@2800k or NAME:HEIGHT@BITRATE, and behind it what it shall \
         be: `:main`, `:baseline` or `:high`, and `:half` for half the frame rate"
    )]
    Syntax(String),
    /// A name that cannot stand in an address.
    #[error("rung {0:?}: {1}")]
    Name(String, InvalidName),
    /// Two rungs of one name, or a name that Rackcast uses itself.
    #[error("the name {0:?} is taken")]
    Taken(String),
    /// A codec that is not packaged yet.
    #[error(
        "rung {0:?}: HEVC is not served yet: players want it in fMP4, and segments are MPEG-TS"
    )]
    Codec(String),
    /// A height outside [`HEIGHT_RANGE`].
    #[error("rung {0:?}: the height must be between 64 and 4320 pixels")]
    Height(String),
    /// A bitrate outside [`BITRATE_RANGE`].
    #[error("rung {0:?}: the bitrate must be between 20k and 100000k bits a second")]
    Bitrate(String),
}

impl Default for Ladder {
    /// 1080p, 720p, 480p, 360p, 240p.
    fn default() -> Self {
        let rung = |name: &str, height, bitrate| {
            name.parse().ok().map(|name| Rung {
                name,
                height,
                bitrate,
                profile: Profile::High,
                half_rate: false,
            })
        };
        Self(
            [
                rung("1080p", 1080, 5_000_000),
                rung("720p", 720, 2_800_000),
                rung("480p", 480, 1_400_000),
                rung("360p", 360, 800_000),
                rung("240p", 240, 400_000),
            ]
            .into_iter()
            .flatten()
            .collect(),
        )
    }
}

impl Ladder {
    /// Checks the rungs and sorts them, highest first.
    pub fn new(mut rungs: Vec<Rung>) -> Result<Self, InvalidLadder> {
        if rungs.len() > MAX_RUNGS {
            return Err(InvalidLadder::TooMany(rungs.len()));
        }
        rungs.sort_by_key(|r| std::cmp::Reverse((r.height, r.bitrate)));
        let mut seen = vec![RenditionName::source(), RenditionName::audio()];
        for rung in &rungs {
            let name = rung.name.as_str();
            // "muxed" and "master" are path segments of the origin.
            if seen.contains(&rung.name) || matches!(name, "muxed" | "master") {
                return Err(InvalidLadder::Taken(name.to_owned()));
            }
            if !HEIGHT_RANGE.contains(&rung.height) {
                return Err(InvalidLadder::Height(name.to_owned()));
            }
            if !BITRATE_RANGE.contains(&rung.bitrate) {
                return Err(InvalidLadder::Bitrate(name.to_owned()));
            }
            seen.push(rung.name.clone());
        }
        Ok(Self(rungs))
    }

    /// The rungs, highest first.
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }

    /// The renditions of a source of this size and rate.
    ///
    /// A rung taller than the source is left out; if all are, the lowest is kept at the
    /// source's own size, so that a stream always has a rendition of known bitrate. `width`
    /// and `height` are coded pixels; the sample aspect passes through unscaled. `rate` is
    /// frames a second.
    pub fn resolve(&self, width: u32, height: u32, rate: f64) -> Vec<RenditionSpec> {
        let even = |v: u32| (v.max(2) / 2) * 2;
        let spec = |rung: &Rung, h: u32| {
            let h = even(h);
            let w = f64::from(width) * f64::from(h) / f64::from(height.max(1));
            let w = even((w / 2.0).round().max(1.0) as u32 * 2).min(even(width));
            let rate = if rung.half_rate { rate / 2.0 } else { rate };
            RenditionSpec {
                name: rung.name.clone(),
                width: w,
                height: h,
                bitrate: rung.bitrate,
                profile: rung.profile,
                level_idc: level_for(w, h, rate, rung.bitrate, rung.profile),
                half_rate: rung.half_rate,
                codec: Codec::H264,
            }
        };
        let fitting: Vec<_> = self
            .0
            .iter()
            .filter(|r| r.height <= height)
            .map(|r| spec(r, r.height))
            .collect();
        if fitting.is_empty() {
            return self.0.last().map(|r| spec(r, height)).into_iter().collect();
        }
        fitting
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.0.iter().enumerate() {
            let profile = match r.profile {
                Profile::ConstrainedBaseline => "baseline",
                Profile::Main => "main",
                Profile::High => "high",
            };
            let comma = if i == 0 { "" } else { "," };
            let half = if r.half_rate { ":half" } else { "" };
            let (name, height, bitrate) = (&r.name, r.height, r.bitrate);
            write!(f, "{comma}{name}:{height}@{bitrate}:{profile}{half}")?;
        }
        Ok(())
    }
}

impl FromStr for Ladder {
    type Err = InvalidLadder;

    /// Comma-separated rungs: `720p@2800k`, or `NAME:HEIGHT@BITRATE` with a bitrate in bits a
    /// second (suffix `k` or `M`). Behind it may stand, each after a colon, a profile (`baseline`,
    /// `main` or `high`, the default) and `half` for half the frame rate.
    /// The empty text is the empty ladder: source only.
    fn from_str(s: &str) -> Result<Self, InvalidLadder> {
        let rungs = s
            .split(',')
            .map(str::trim)
            .filter(|r| !r.is_empty())
            .map(rung);
        Self::new(rungs.collect::<Result<_, _>>()?)
    }
}

fn rung(text: &str) -> Result<Rung, InvalidLadder> {
    let syntax = || InvalidLadder::Syntax(text.to_owned());
    let (size, rate) = text.split_once('@').ok_or_else(syntax)?;
    let (name, height) = match size.split_once(':') {
        Some((name, height)) => (name, height),
        None => (size, size.strip_suffix('p').ok_or_else(syntax)?),
    };
    let mut words = rate.split(':');
    let rate = words.next().ok_or_else(syntax)?;
    let (mut profile, mut half_rate) = (None, false);
    for word in words {
        let twice = match word {
            "high" => profile.replace(Profile::High).is_some(),
            "main" => profile.replace(Profile::Main).is_some(),
            "baseline" => profile.replace(Profile::ConstrainedBaseline).is_some(),
            "half" => std::mem::replace(&mut half_rate, true),
            "hevc" | "h265" => return Err(InvalidLadder::Codec(text.to_owned())),
            _ => true,
        };
        if twice {
            return Err(syntax());
        }
    }
    let (digits, unit) = match rate.strip_suffix('k') {
        Some(d) => (d, 1_000),
        None => rate.strip_suffix('M').map_or((rate, 1), |d| (d, 1_000_000)),
    };
    let bitrate = digits.parse::<u32>().ok().and_then(|n| n.checked_mul(unit));
    Ok(Rung {
        name: name
            .parse()
            .map_err(|e| InvalidLadder::Name(text.to_owned(), e))?,
        height: height.parse().map_err(|_| syntax())?,
        bitrate: bitrate.ok_or_else(syntax)?,
        profile: profile.unwrap_or(Profile::High),
        half_rate,
    })
}

impl TryFrom<String> for Ladder {
    type Error = InvalidLadder;
    fn try_from(s: String) -> Result<Self, InvalidLadder> {
        s.parse()
    }
}

impl From<Ladder> for String {
    fn from(ladder: Ladder) -> Self {
        ladder.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Ratio;

    #[test]
    fn default_ladder_of_a_1080p_source() {
        let specs = Ladder::default().resolve(1920, 1080, 30.0);
        let sizes: Vec<_> = specs
            .iter()
            .map(|s| (s.width, s.height, s.level_idc))
            .collect();
        assert_eq!(
            sizes,
            [
                (1920, 1080, 40),
                (1280, 720, 31),
                (854, 480, 31),
                (640, 360, 30),
                (426, 240, 21)
            ]
        );
    }

    #[test]
    fn half_the_rate_is_every_second_picture_and_a_lower_level() {
        let ladder: Ladder = "720p@2M,low:720@1M:half".parse().unwrap();
        let [whole, half] = ladder.resolve(1280, 720, 60.0).try_into().unwrap();
        assert_eq!((whole.level_idc, half.level_idc), (32, 31));
        assert_eq!((whole.frames(7), half.frames(7), half.frames(8)), (7, 4, 4));
        assert_eq!(half.pick(0..7).collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert_eq!(whole.pick(0..3).collect::<Vec<_>>(), [0, 1, 2]);
        let ntsc = Ratio::new(30_000, 1001).unwrap();
        assert_eq!(half.frame_rate(ntsc), Ratio::new(15_000, 1001).unwrap());
        assert_eq!(
            half.frame_rate(Ratio::new(25, 1).unwrap()),
            Ratio::new(25, 2).unwrap()
        );
    }

    #[test]
    fn never_above_the_source() {
        let specs = Ladder::default().resolve(640, 360, 25.0);
        assert_eq!(
            specs.iter().map(|s| s.height).collect::<Vec<_>>(),
            [360, 240]
        );
        let tiny = Ladder::default().resolve(160, 120, 25.0);
        assert_eq!(tiny.len(), 1);
        assert_eq!((tiny[0].width, tiny[0].height), (160, 120));
    }

    #[test]
    fn portrait_and_odd_sizes_stay_even_and_keep_the_aspect() {
        let specs = Ladder::default().resolve(607, 1081, 30.0);
        for s in &specs {
            assert_eq!((s.width % 2, s.height % 2), (0, 0));
            assert!(s.width <= 607);
        }
    }

    #[test]
    fn text_form_round_trips() {
        let ladder: Ladder = "720p@2800k,low:240@400000:baseline,least:240@200k:half"
            .parse()
            .unwrap();
        assert_eq!(ladder.to_string().parse::<Ladder>().unwrap(), ladder);
        let halves: Vec<_> = ladder.rungs().iter().map(|r| r.half_rate).collect();
        assert_eq!(halves, [false, false, true]);
        assert_eq!("".parse::<Ladder>().unwrap().rungs().len(), 0);
    }

    #[test]
    fn bad_ladders_say_what_is_wrong() {
        for bad in [
            "720p",
            "x@1M",
            "720p@x",
            "720p@1M,720p@2M",
            "source:360@1M",
            "8p@1M",
            "1p2:720@9",
            "720p@1M:half:half",
            "720p@1M:main:high",
            "720p@1M:third",
            "720p@1M:hevc",
            "720p@1M:",
        ] {
            assert!(bad.parse::<Ladder>().is_err(), "{bad}");
        }
    }
}
