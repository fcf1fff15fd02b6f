//! Pictures in, renditions out: the GStreamer pipelines of one worker.
//!
//! Only video passes through GStreamer. A pipeline is bound to a ladder, a picture size and
//! an encoder; it is built on first use, kept warm, and takes any segment of any stream that
//! it fits. Building one costs 50 ms of CPU, reusing one nothing.
//!
//! Segments that are made here and segments that are made elsewhere follow each other in one
//! playlist. So everything a player could notice is pinned: the presentation times are the
//! source's, exactly; the decoding times follow from them by one rule; the first picture is
//! the only IDR; the parameter sets say what the job says ([`Pipelines::transcode`] checks
//! all of it before it gives anything away).

mod again;
mod bits;
mod chain;
mod clock;
mod config;
mod decoded;
mod element;
mod encoder;
mod engine;
mod error;
mod finish;
mod frames;
mod graph;
mod grey;
mod output;
mod run;
mod scaler;
mod simulated;
mod spent;
mod sps;
mod told;
mod x265;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rackcast_segment::media::AccessUnit;
use rackcast_segment::wire::job::JobSpec;
use tokio_util::sync::CancellationToken;

pub use chain::{NVIDIA_ELEMENTS, va_elements, va_prefix};
pub use config::{Encoder, EncoderConfig};
pub use engine::Engine;
pub use error::PipelineError;
pub use run::Rendition;
pub use simulated::{Fault, Simulated, Simulation};
pub use spent::Spent;

use chain::{Chain, Wanted};
use graph::{Graph, Key};

/// What a job's pipeline is bound to: jobs that agree in it can share one, where the encoder lets it be
/// kept. `None` of one that no encoder lets.
pub fn affinity(job: &JobSpec) -> Option<u64> {
    let key = Key::of(job, &EncoderConfig::default());
    let mut hasher = DefaultHasher::new();
    format!("{key:?}").hash(&mut hasher);
    key.is_reusable().then(|| hasher.finish())
}

/// The warm pipelines of a worker, most recently used last.
pub struct Pipelines {
    encoder: EncoderConfig,
    keep: usize,
    warm: Vec<Graph>,
    progress: Arc<AtomicU32>,
    sessions: Arc<AtomicU32>,
    spent: Spent,
}

impl Pipelines {
    /// Starts GStreamer and looks for the elements. At most `keep` pipelines stay warm.
    ///
    /// # Errors
    /// GStreamer cannot start or lacks an element; nothing will work on this machine until it
    /// is mended.
    pub fn new(encoder: EncoderConfig, keep: usize) -> Result<Self, PipelineError> {
        gstreamer::init().map_err(|e| PipelineError::Internal(e.to_string()))?;
        scaler::register()?;
        graph::probe(&encoder)?;
        Ok(Self {
            encoder,
            keep: keep.max(1),
            warm: Vec::new(),
            progress: Arc::default(),
            sessions: Arc::default(),
            spent: Spent::default(),
        })
    }

    fn run(
        &mut self,
        job: &JobSpec,
        units: &[AccessUnit],
        cancel: &CancellationToken,
        mut emit: impl FnMut(Rendition),
    ) -> Result<u32, PipelineError> {
        let mut large = Vec::new();
        let result = self.run_once(job, units, cancel, |rendition| {
            match again::excess(job, &rendition) {
                Some(_) => large.push(rendition),
                None => emit(rendition),
            }
        });
        for rendition in large {
            emit(match result {
                Ok(_) => self.smaller(job, units, cancel, rendition),
                Err(_) => rendition,
            });
        }
        result
    }

    fn run_once(
        &mut self,
        job: &JobSpec,
        units: &[AccessUnit],
        cancel: &CancellationToken,
        emit: impl FnMut(Rendition),
    ) -> Result<u32, PipelineError> {
        let key = Key::of(job, &self.encoder);
        let mut graph = match self.warm.iter().position(|g| g.key == key) {
            Some(at) => self.warm.remove(at),
            None => Graph::build(key, job, 0, &self.progress)?,
        };
        graph.tell(job)?;
        self.count_sessions(graph.key.renditions.len());
        let result = run::run(&mut graph, units, cancel, emit);
        self.spent = graph.spent;
        // A pipeline that failed is not trusted again.
        let sound = matches!(result, Ok(_) | Err(PipelineError::Cancelled));
        if sound {
            self.put_back(graph);
        }
        self.count_sessions(0);
        result
    }

    /// Keeps a pipeline for jobs to come, if they will find it as new.
    fn put_back(&mut self, graph: Graph) {
        if !graph.key.is_reusable() || !run::flush(&graph) {
            return;
        }
        if self.warm.len() >= self.keep {
            self.warm.remove(0);
        }
        self.warm.push(graph);
    }

    /// Encoders of warm pipelines, and of one that is none of them.
    fn count_sessions(&self, of_another: usize) {
        let warm = self.warm.iter().map(|graph| graph.key.renditions.len());
        let sessions = warm.sum::<usize>().saturating_add(of_another);
        let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
        self.sessions.store(sessions, Ordering::Relaxed);
    }
}

impl Engine for Pipelines {
    fn transcode(
        &mut self,
        job: &JobSpec,
        units: &[AccessUnit],
        cancel: &CancellationToken,
        emit: &mut dyn FnMut(Rendition),
    ) -> Result<u32, PipelineError> {
        self.run(job, units, cancel, emit)
    }

    fn makes_hevc(&self) -> bool {
        Chain::of(&self.encoder, &Wanted::HEVC, element::exists).is_ok()
    }

    fn progress(&self) -> Arc<AtomicU32> {
        self.progress.clone()
    }

    fn sessions(&self) -> Arc<AtomicU32> {
        self.sessions.clone()
    }

    fn spent(&self) -> Spent {
        self.spent
    }
}

/// Whether there is such an element on this machine, as far as GStreamer's registry knows.
///
/// # Errors
/// GStreamer cannot start.
pub fn element_look_up() -> Result<fn(&str) -> bool, PipelineError> {
    gstreamer::init().map_err(|e| PipelineError::Internal(e.to_string()))?;
    Ok(element::exists)
}
