//! A small real segment, and a job for it: what shows that a node can do its work.
//!
//! Eight pictures of 128x96 with B-frames, made by
//! `ffmpeg -f lavfi -i testsrc2=size=128x96:rate=25:duration=0.32 -c:v libx264 -bf 2 -crf 38`.
//! A worker tests itself with it before it takes a job, and `rackcast-ingest probe` sends it to a
//! node.

use bytes::Bytes;

use crate::h264::{self, H264Error};
use crate::ladder::{InvalidLadder, Ladder};
use crate::shape::{Ratio, Shape};
use crate::time::{Ticks, Timestamp};
use crate::ts::{self, TsError};
use crate::wire::job::{JobSpec, Source};

const SEGMENT: &[u8] = include_bytes!("sample.ts");
const RATE: u32 = 25;
/// One rung of the source's size, one that is scaled.
const LADDER: &str = "whole:96@100k,less:64@50k";

/// What is wrong with the sample: a defect of this crate.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// It cannot be read.
    #[error("the sample segment: {0}")]
    Segment(#[from] TsError),
    /// Its parameter sets cannot be read.
    #[error("the sample segment's parameter sets: {0}")]
    Parameters(#[from] H264Error),
    /// It has no pictures.
    #[error("the sample segment is empty")]
    Empty,
    /// Its ladder is none.
    #[error("the sample segment's ladder: {0}")]
    Ladder(#[from] InvalidLadder),
}

/// The segment: MPEG-TS with one H.264 stream.
pub fn segment() -> Bytes {
    Bytes::from_static(SEGMENT)
}

/// What is to be made of it.
///
/// # Errors
/// The sample is not what it should be.
pub fn job() -> Result<JobSpec, SampleError> {
    job_of(SEGMENT, RATE, LADDER)
}

/// What is to be made of another one: H.264 in MPEG-TS with B-frames that refer to each other, and so
/// many pictures a second, a divisor of 90,000.
///
/// # Errors
/// It is not what it should be.
pub fn job_of(media: &[u8], rate: u32, ladder: &str) -> Result<JobSpec, SampleError> {
    let frame = Ticks(i64::from(90_000 / rate.max(1)));
    let video = ts::read(media, Timestamp(0), &ts::Limits::default())?.video;
    let sps = video.iter().flat_map(|unit| h264::nal_units(&unit.data));
    let mut sps = sps.filter(|nal| nal.first().is_some_and(|header| header & 0x1f == 7));
    let format = h264::parse_sps(sps.next().ok_or(SampleError::Empty)?)?;
    let times = video.iter().map(|unit| unit.pts);
    let span = times.clone().min().zip(times.max());
    let (first_pts, last_pts) = span.ok_or(SampleError::Empty)?;
    let shape = Shape {
        reorder_depth: 2,
        dts_offset: Ticks(2 * frame.0),
        colour: format.colour,
        sample_aspect: format.sample_aspect,
    };
    let renditions = ladder
        .parse::<Ladder>()?
        .resolve(format.width, format.height, rate.into());
    Ok(JobSpec {
        source: Source {
            frames: u32::try_from(video.len()).unwrap_or(u32::MAX),
            frame_rate: Ratio::new(rate, 1).ok_or(SampleError::Empty)?,
            first_pts,
            last_pts,
            last_half_pts: None,
            duration: Ticks(last_pts.0 - first_pts.0 + frame.0),
            bytes: media.len() as u64,
            format,
        },
        renditions,
        shape,
        rates: std::collections::BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_job_for_two_renditions() {
        let job = job().unwrap();
        assert_eq!(job.renditions.len(), 2);
        assert_eq!((job.source.frames, job.source.format.width), (8, 128));
        assert_eq!(job.source.bytes, segment().len() as u64);
    }
}
