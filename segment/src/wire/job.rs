//! A job: everything a transcode node must know to take one segment.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::h264::MAX_DIMENSION;
use crate::id::{RenditionName, Sequence, StreamToken};
use crate::ladder::{BITRATE_RANGE, MAX_RUNGS, RenditionSpec};
use crate::media::{Codec, VideoFormat};
use crate::rate::Rate;
use crate::shape::{Ratio, Shape};
use crate::time::{Ticks, Timestamp};

use super::{HEADER_ATTEMPT, HEADER_DEADLINE, HEADER_JOB, HEADER_PROTOCOL, HEADER_QUARANTINE};
use super::{HEADER_RATES, HEADER_SEQUENCE, HEADER_STREAM, PROTOCOL};

/// The most bytes of JSON that [`HEADER_JOB`] may carry.
pub const MAX_JOB_HEADER: usize = 12 * 1024;
/// The most bytes of JSON that [`HEADER_RATES`] may carry.
pub const MAX_RATES_HEADER: usize = 8 * 1024;
/// The most pictures of one segment.
pub const MAX_FRAMES: u32 = 8192;
/// The most reordering that H.264 has.
const MAX_REORDER_DEPTH: u8 = 16;
/// Parameter sets give each part of an aspect ratio 16 bits.
const MAX_ASPECT: u32 = 0xffff;
/// GStreamer's fractions are signed.
const MAX_RATE_PART: u32 = i32::MAX as u32;
const MAX_DTS_OFFSET: Ticks = Ticks::from_millis(10_000);

/// The video of a segment as the ingest knows it; admission counts its cost from this before
/// the body is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Size, profile, colour.
    pub format: VideoFormat,
    /// Number of pictures.
    pub frames: u32,
    /// Frames a second that encoders are told: [nominal](Ratio::nominal_rate), the same for all
    /// segments of one format.
    pub frame_rate: Ratio,
    /// The first picture's presentation time (the smallest).
    pub first_pts: Timestamp,
    /// The last picture's presentation time (the largest).
    pub last_pts: Timestamp,
    /// The last presentation time that is left at half the frame rate. Given where a rendition is to
    /// have that; what comes back is compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_half_pts: Option<Timestamp>,
    /// From the first picture to the first of the next segment.
    pub duration: Ticks,
    /// Length of the body.
    pub bytes: u64,
}

/// The structured part of a job; travels as JSON in [`HEADER_JOB`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What is sent.
    pub source: Source,
    /// What is asked, highest first.
    pub renditions: Vec<RenditionSpec>,
    /// What every encoder must keep to.
    pub shape: Shape,
    /// What encoders are told of their rates, by rendition; one that has no entry is made by its mean bit
    /// rate, as if there were no segment but this. Travels in a header of its own, [`HEADER_RATES`], which
    /// a node of an earlier version does not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<RenditionName, Rate>,
}

/// A job as it travels in the request's headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Which stream, opaquely.
    pub stream: StreamToken,
    /// Which segment of it.
    pub sequence: Sequence,
    /// Time left, as the sender saw it when it sent.
    pub deadline: Duration,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The segment killed a worker of another node
    /// ([`KilledWorker`](super::reply::RefusalCode::KilledWorker)): no worker that serves others
    /// is to see it before it has gone well in one that serves nobody else.
    pub quarantine: bool,
    /// The rest.
    pub spec: JobSpec,
}

/// Why a request is not a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJob {
    /// A required header is absent.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// A header cannot be read.
    #[error("the header {0} is not valid: {1}")]
    Malformed(&'static str, String),
    /// The peer speaks another version.
    #[error("protocol {0} is not spoken here; this node speaks {PROTOCOL}")]
    Protocol(String),
    /// No renditions, too many, or of impossible size.
    #[error("the ladder is not valid: {0}")]
    Ladder(&'static str),
    /// Nothing to transcode, or more than any segment holds.
    #[error("the source is not valid: {0}")]
    Source(&'static str),
    /// Pictures that are larger, or more, than the protocol has room for.
    #[error("the source is too large: {0}")]
    TooLarge(&'static str),
    /// A reordering or an offset that no stream has.
    #[error("the shape is not valid: {0}")]
    Shape(&'static str),
}

impl Job {
    /// The headers that carry this job.
    pub fn to_headers(&self) -> Result<Vec<(&'static str, String)>, serde_json::Error> {
        let plain = JobSpec {
            rates: BTreeMap::new(),
            ..self.spec.clone()
        };
        let mut headers = vec![
            (HEADER_PROTOCOL, PROTOCOL.to_string()),
            (HEADER_STREAM, self.stream.to_string()),
            (HEADER_SEQUENCE, self.sequence.to_string()),
            (HEADER_DEADLINE, self.deadline.as_millis().to_string()),
            (HEADER_ATTEMPT, self.attempt.to_string()),
            (HEADER_JOB, serde_json::to_string(&plain)?),
        ];
        if !self.spec.rates.is_empty() {
            headers.push((HEADER_RATES, serde_json::to_string(&self.spec.rates)?));
        }
        if self.quarantine {
            headers.push((HEADER_QUARANTINE, true.to_string()));
        }
        Ok(headers)
    }

    /// Reads and checks a job; `get` looks a header up by its lower-case name.
    ///
    /// # Errors
    /// The first header that is missing or not valid; a retry with the same headers cannot
    /// help.
    pub fn from_headers<'a>(
        get: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<Self, InvalidJob> {
        let need = |name| get(name).ok_or(InvalidJob::Missing(name));
        let version = need(HEADER_PROTOCOL)?;
        if version.parse() != Ok(PROTOCOL) {
            return Err(InvalidJob::Protocol(version.chars().take(16).collect()));
        }
        let number = |name| -> Result<u64, InvalidJob> {
            need(name)?
                .parse()
                .map_err(|_| InvalidJob::Malformed(name, "not a number".to_owned()))
        };
        let json = need(HEADER_JOB)?;
        if json.len() > MAX_JOB_HEADER {
            return Err(InvalidJob::Malformed(HEADER_JOB, "too long".to_owned()));
        }
        let mut spec: JobSpec = serde_json::from_str(json)
            .map_err(|e| InvalidJob::Malformed(HEADER_JOB, e.to_string()))?;
        if let Some(json) = get(HEADER_RATES) {
            spec.rates = rates(json).map_err(|e| InvalidJob::Malformed(HEADER_RATES, e))?;
        }
        spec.check()?;
        Ok(Self {
            stream: need(HEADER_STREAM)?
                .parse()
                .map_err(|e| InvalidJob::Malformed(HEADER_STREAM, format!("{e}")))?,
            sequence: Sequence(number(HEADER_SEQUENCE)?),
            deadline: Duration::from_millis(number(HEADER_DEADLINE)?),
            attempt: u32::try_from(number(HEADER_ATTEMPT)?)
                .unwrap_or(u32::MAX)
                .max(1),
            quarantine: match get(HEADER_QUARANTINE).map(str::parse) {
                None => false,
                Some(Ok(asked)) => asked,
                Some(Err(_)) => {
                    let text = "neither true nor false".to_owned();
                    return Err(InvalidJob::Malformed(HEADER_QUARANTINE, text));
                }
            },
            spec,
        })
    }
}

fn rates(json: &str) -> Result<BTreeMap<RenditionName, Rate>, String> {
    if json.len() > MAX_RATES_HEADER {
        return Err("too long".to_owned());
    }
    serde_json::from_str(json).map_err(|e| e.to_string())
}

impl JobSpec {
    /// Work in output pixels: the unit of routing and of admission.
    pub fn work(&self) -> u64 {
        self.works().fold(0, u64::saturating_add)
    }

    /// The work of each rendition, in their order.
    pub fn works(&self) -> impl Iterator<Item = u64> {
        let source = self.source.frames;
        let works = self.renditions.iter();
        works.map(move |r| {
            let pixels = u64::from(r.width) * u64::from(r.height);
            pixels.saturating_mul(r.frames(source).into())
        })
    }

    /// Whether it takes more than H.264.
    pub fn needs_hevc(&self) -> bool {
        let out = self.renditions.iter().map(|r| r.codec);
        out.chain([self.source.format.codec])
            .any(|codec| codec == Codec::Hevc)
    }

    fn check(&self) -> Result<(), InvalidJob> {
        self.check_ladder().map_err(InvalidJob::Ladder)?;
        self.check_source()?;
        if self.rates.len() > MAX_RUNGS || !self.rates.values().all(Rate::is_sane) {
            let text = "more than the ladder has rungs, or out of range".to_owned();
            return Err(InvalidJob::Malformed(HEADER_RATES, text));
        }
        let Shape {
            reorder_depth,
            dts_offset,
            sample_aspect,
            ..
        } = self.shape;
        if [sample_aspect, self.source.format.sample_aspect]
            .iter()
            .any(|aspect| aspect.num().max(aspect.den()) > MAX_ASPECT)
        {
            return Err(InvalidJob::Shape(
                "a part of a sample aspect ratio is above 65535, which no stream can say",
            ));
        }
        if reorder_depth > MAX_REORDER_DEPTH {
            return Err(InvalidJob::Shape("no decoder reorders more than 16 frames"));
        }
        if !(Ticks(0)..=MAX_DTS_OFFSET).contains(&dts_offset) {
            return Err(InvalidJob::Shape(
                "the DTS offset is negative or above ten seconds",
            ));
        }
        Ok(())
    }

    fn check_ladder(&self) -> Result<(), &'static str> {
        if self.renditions.is_empty() {
            return Err("no rendition is asked for");
        }
        if self.renditions.len() > MAX_RUNGS {
            return Err("too many renditions");
        }
        let mut names = std::collections::BTreeSet::new();
        for r in &self.renditions {
            if !names.insert(&r.name) {
                return Err("two renditions have one name");
            }
            let sides = [r.width, r.height];
            if sides
                .iter()
                .any(|s| s % 2 != 0 || !(2..=MAX_DIMENSION).contains(s))
            {
                return Err("a size is odd or out of range");
            }
            if !BITRATE_RANGE.contains(&r.bitrate) {
                return Err("a bitrate is out of range");
            }
        }
        Ok(())
    }

    fn check_source(&self) -> Result<(), InvalidJob> {
        let Source {
            format,
            frame_rate,
            frames,
            first_pts,
            last_pts,
            duration,
            bytes,
            ..
        } = &self.source;
        let sides = [format.width, format.height];
        if *frames == 0 || *bytes == 0 || duration.0 <= 0 || sides.contains(&0) {
            let text = "it has no frames, no bytes, no duration or no size";
            return Err(InvalidJob::Source(text));
        }
        if first_pts.0 < 0 || last_pts < first_pts {
            let text = "its times are negative or out of order";
            return Err(InvalidJob::Source(text));
        }
        if frame_rate.num().max(frame_rate.den()) > MAX_RATE_PART {
            let text = "a part of its frame rate is above 2147483647";
            return Err(InvalidJob::Source(text));
        }
        if *frames > MAX_FRAMES {
            let text = "it has more frames than a segment can have";
            return Err(InvalidJob::TooLarge(text));
        }
        if sides.iter().any(|s| *s > MAX_DIMENSION) {
            let text = "a side of its pictures is longer than any that is transcoded";
            return Err(InvalidJob::TooLarge(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
