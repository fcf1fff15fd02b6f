//! A real transcode of a small segment, by the way that every job goes.
//!
//! It shows that decoder, scaler and encoder work here and now, and it warms them: the first
//! use of the libraries in a process costs 0.4 s of CPU, which no job is to pay.

use bytes::Bytes;
use rackcast_segment::media::VideoFormat;
use rackcast_segment::sample::{self, SampleError};
use rackcast_segment::verify::{Defect, Expectation, verify};
use rackcast_segment::wire::job::{JobSpec, Source};
use tokio_util::sync::CancellationToken;

use super::{Task, segment, transcode};
use crate::pipeline::{Engine, PipelineError};

/// Why a worker is not fit for jobs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("{0} is not what was asked for: {1}")]
    Wrong(String, Defect),
    #[error("{0} of {1} renditions came")]
    Few(usize, usize),
    #[error(transparent)]
    Sample(#[from] SampleError),
}

pub(super) fn run(engine: &mut dyn Engine) -> Result<(), Failure> {
    check(engine, &sample::job()?, sample::segment()).map(drop)
}

/// To HEVC and back.
pub(super) fn hevc(engine: &mut dyn Engine) -> Result<(), Failure> {
    let plain = sample::job()?;
    let rate = plain.source.frame_rate;
    let there = JobSpec {
        renditions: plain
            .renditions
            .iter()
            .take(1)
            .cloned()
            .map(|r| r.in_hevc(rate))
            .collect(),
        ..plain.clone()
    };
    let made = check(engine, &there, sample::segment())?;
    let (media, format) = made.into_iter().next().ok_or(Failure::Few(0, 1))?;
    let back = JobSpec {
        source: Source {
            format,
            bytes: media.len() as u64,
            ..plain.source
        },
        ..plain
    };
    check(engine, &back, media).map(drop)
}

/// What is made of a segment, if it is what was asked for.
fn check(
    engine: &mut dyn Engine,
    spec: &JobSpec,
    segment: Bytes,
) -> Result<Vec<(Bytes, VideoFormat)>, Failure> {
    let task = Task {
        job: 0,
        spec: Box::new(spec.clone()),
        segment,
        cancel: CancellationToken::new(),
    };
    let mut made = Vec::new();
    let units = segment::access_units(&task.segment, &task.spec.source)?;
    transcode(engine, &task, &units, |name, media| {
        made.push((name, media));
    })?;
    if made.len() != spec.renditions.len() {
        return Err(Failure::Few(made.len(), spec.renditions.len()));
    }
    let mut checked = Vec::new();
    for (name, media) in made {
        let asked = spec.renditions.iter().find(|r| r.name == name);
        let expect = Expectation {
            spec: asked.ok_or(Failure::Few(0, spec.renditions.len()))?,
            source: &spec.source,
            shape: &spec.shape,
        };
        let verified = verify(&media, &expect);
        let verified = verified.map_err(|defect| Failure::Wrong(name.to_string(), defect))?;
        checked.push((media, verified.format));
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Encoder, EncoderConfig, Pipelines, Simulated, Simulation};

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
            assert!(pipelines.makes_hevc());
            hevc(&mut pipelines).unwrap();
        }
    }

    #[test]
    fn a_simulated_device_passes() {
        let (pixel_rate, fault) = (100_000_000, None);
        run(&mut Simulated::new(Simulation { pixel_rate, fault })).unwrap();
    }
}
