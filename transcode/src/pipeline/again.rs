//! A rendition that came out larger than its segment may be is made again, smaller.
//!
//! x264 is bounded by its buffer and hardly ever needs it. An encoder that knows a bit rate only, openh264
//! or a GPU's, meets a sudden change of scene after it has spent what it had; with what is known of the
//! whole segment then, the second time fits. It costs that rendition once more, and happens to few.

use rackcast_segment::media::AccessUnit;
use rackcast_segment::wire::job::JobSpec;
use tokio_util::sync::CancellationToken;

use super::Pipelines;
use super::error::PipelineError;
use super::graph::{Graph, Key};
use super::run::{self, Rendition};

/// Times that it is tried.
const TRIES: u32 = 2;

/// The bits a second of a rendition that has more than the job lets it have.
pub(super) fn excess(job: &JobSpec, rendition: &Rendition) -> Option<f64> {
    let rate = job.rates.get(&rendition.name)?;
    let bytes: usize = rendition.pictures.iter().map(|unit| unit.data.len()).sum();
    // A segment of less than a second is measured with its neighbours.
    let got = bytes as f64 * 8.0 / job.source.duration.seconds().max(1.0);
    (got > f64::from(rate.peak)).then_some(got)
}

impl Pipelines {
    /// The rendition made smaller, or as it is where that does not work.
    pub(super) fn smaller(
        &self,
        job: &JobSpec,
        units: &[AccessUnit],
        cancel: &CancellationToken,
        mut rendition: Rendition,
    ) -> Rendition {
        let name = rendition.name.clone();
        let mut spec = job.clone();
        spec.renditions.retain(|r| r.name == name);
        for again in 1..=TRIES {
            let Some(got) = excess(job, &rendition) else {
                break;
            };
            let Some(rate) = spec.rates.get_mut(&name) else {
                break;
            };
            *rate = rate.after(got);
            log::info!(
                rackcast_rendition = name.as_str();
                "{got:.0} bits a second are more than the segment may have: it is made again with {}",
                rate.bitrate
            );
            match self.once(&spec, again, units, cancel) {
                Ok(Some(made)) => rendition = made,
                Ok(None) | Err(PipelineError::Cancelled) => break,
                Err(e) => {
                    log::warn!(rackcast_rendition = name.as_str(); "it could not be made again: {e}");
                    break;
                }
            }
        }
        rendition
    }

    /// Through a pipeline of its own.
    fn once(
        &self,
        spec: &JobSpec,
        again: u32,
        units: &[AccessUnit],
        cancel: &CancellationToken,
    ) -> Result<Option<Rendition>, PipelineError> {
        let key = Key::of(spec, &self.encoder);
        let mut graph = Graph::build(key, spec, again, &self.progress)?;
        let mut made = None;
        run::run(&mut graph, units, cancel, |rendition| {
            made = Some(rendition);
        })?;
        Ok(made)
    }
}
