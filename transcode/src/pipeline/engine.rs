//! What turns pictures into renditions, whatever it is made of.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use rackcast_segment::media::AccessUnit;
use rackcast_segment::wire::job::JobSpec;
use tokio_util::sync::CancellationToken;

use super::error::PipelineError;
use super::run::Rendition;
use super::spent::Spent;

/// A device as its worker process uses it.
pub trait Engine: Send {
    /// Transcodes one segment and gives each rendition to `emit` as soon as it is finished.
    /// Blocks. Answers how many pictures were decoded.
    ///
    /// # Errors
    /// Renditions that were emitted before the error are good.
    fn transcode(
        &mut self,
        job: &JobSpec,
        units: &[AccessUnit],
        cancel: &CancellationToken,
        emit: &mut dyn FnMut(Rendition),
    ) -> Result<u32, PipelineError>;

    /// Whether it has what HEVC takes, in and out. That it works, a self-test shows.
    fn makes_hevc(&self) -> bool;

    /// Grows with every picture that leaves a decoder or an encoder; wraps.
    fn progress(&self) -> Arc<AtomicU32>;

    /// Encoders that are open now.
    fn sessions(&self) -> Arc<AtomicU32>;

    /// What the last job took of the processor.
    fn spent(&self) -> Spent;
}
