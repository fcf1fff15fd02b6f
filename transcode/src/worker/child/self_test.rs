//! A real transcode of a small segment, by the way that every job goes.
//!
//! It shows that decoder, scaler and encoder work here and now, and it warms them: the first
//! use of the libraries in a process costs 0.4 s of CPU, which no job is to pay.

use rackcast_segment::sample::{self, SampleError};
use rackcast_segment::verify::{Defect, Expectation, verify};
use tokio_util::sync::CancellationToken;

use super::{Task, transcode};
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
    let spec = sample::job()?;
    let task = Task {
        job: 0,
        spec: Box::new(spec.clone()),
        segment: sample::segment(),
        cancel: CancellationToken::new(),
    };
    let mut made = Vec::new();
    transcode(engine, &task, |name, media| made.push((name, media)))?;
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
        }
    }

    #[test]
    fn a_simulated_device_passes() {
        let (pixel_rate, fault) = (100_000_000, None);
        run(&mut Simulated::new(Simulation { pixel_rate, fault })).unwrap();
    }
}
