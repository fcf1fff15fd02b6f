//! A real transcode of a small segment, by the way that every job goes.
//!
//! It shows that decoder, scaler and encoder work here and now, and it warms them: the first
//! use of the libraries in a process costs 0.4 s of CPU, which no job is to pay. Eight
//! pictures of 128x96 with B-frames, made by
//! `ffmpeg -f lavfi -i testsrc2=size=128x96:rate=25:duration=0.32 -c:v libx264 -bf 2 -crf 38`.

use bytes::Bytes;
use rackcast_segment::h264::{self, H264Error};
use rackcast_segment::ladder::{InvalidLadder, Ladder};
use rackcast_segment::shape::{Ratio, Shape};
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts::{self, TsError};
use rackcast_segment::verify::{Defect, Expectation, verify};
use rackcast_segment::wire::job::{JobSpec, Source};
use tokio_util::sync::CancellationToken;

use super::{Task, transcode};
use crate::pipeline::{PipelineError, Pipelines};

const SEGMENT: &[u8] = include_bytes!("self_test.ts");
const RATE: u32 = 25;
const FRAME: Ticks = Ticks(3_600);
/// One rung of the source's size, one that is scaled.
const LADDER: &str = "whole:96@100k,less:64@50k";

/// Why a worker is not fit for jobs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("{0} is not what was asked for: {1}")]
    Wrong(String, Defect),
    #[error("{0} of {1} renditions came")]
    Few(usize, usize),
    #[error("the test's own segment: {0}")]
    Segment(#[from] TsError),
    #[error("the test's own parameter sets: {0}")]
    Parameters(#[from] H264Error),
    #[error("the test's own segment is empty")]
    Empty,
    #[error("the test's own ladder: {0}")]
    Ladder(#[from] InvalidLadder),
}

pub(super) fn run(pipelines: &mut Pipelines) -> Result<(), Failure> {
    let spec = job()?;
    let task = Task {
        job: 0,
        spec: Box::new(spec.clone()),
        segment: Bytes::from_static(SEGMENT),
        cancel: CancellationToken::new(),
    };
    let mut made = Vec::new();
    transcode(pipelines, &task, |name, media| made.push((name, media)))?;
    if made.len() != spec.renditions.len() {
        return Err(Failure::Few(made.len(), spec.renditions.len()));
    }
    for (name, media) in made {
        let asked = spec.renditions.iter().find(|r| r.name == name);
        let expect = Expectation {
            spec: asked.ok_or(Failure::Few(0, spec.renditions.len()))?,
            source: &spec.source,
            shape: &spec.shape,
        };
        verify(&media, &expect).map_err(|defect| Failure::Wrong(name.to_string(), defect))?;
    }
    Ok(())
}

fn job() -> Result<JobSpec, Failure> {
    let video = ts::read(SEGMENT, Timestamp(0), &ts::Limits::default())?.video;
    let sps = video.iter().flat_map(|unit| h264::nal_units(&unit.data));
    let mut sps = sps.filter(|nal| nal.first().is_some_and(|header| header & 0x1f == 7));
    let format = h264::parse_sps(sps.next().ok_or(Failure::Empty)?)?;
    let times = video.iter().map(|unit| unit.pts);
    let (first_pts, last_pts) = times.clone().min().zip(times.max()).ok_or(Failure::Empty)?;
    let shape = Shape {
        reorder_depth: 2,
        dts_offset: Ticks(2 * FRAME.0),
        colour: format.colour,
        sample_aspect: format.sample_aspect,
    };
    let renditions = LADDER
        .parse::<Ladder>()?
        .resolve(format.width, format.height, RATE.into());
    Ok(JobSpec {
        source: Source {
            frames: u32::try_from(video.len()).unwrap_or(u32::MAX),
            frame_rate: Ratio::new(RATE, 1).ok_or(Failure::Empty)?,
            first_pts,
            last_pts,
            duration: Ticks(last_pts.0 - first_pts.0 + FRAME.0),
            bytes: SEGMENT.len() as u64,
            format,
        },
        renditions,
        shape,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Encoder, EncoderConfig};

    #[test]
    fn every_encoder_passes() {
        for encoder in [Encoder::X264, Encoder::Openh264] {
            let config = EncoderConfig {
                encoder,
                ..EncoderConfig::default()
            };
            let mut pipelines = Pipelines::new(config, 1).unwrap();
            run(&mut pipelines).unwrap();
            run(&mut pipelines).unwrap();
        }
    }
}
