//! What came out of the decoder: how many pictures, and when they are to be shown.
//!
//! It tells whose fault it is when the pictures of a rendition are not those of the source. A
//! decoder puts pictures in the order that the bitstream says; if their times are then not in
//! order, or not those of the segment, the segment contradicts itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer::ClockTime;
use rackcast_segment::time::Timestamp;

use super::clock;
use super::error::PipelineError;

/// The pictures of the segment that is in the pipeline; shared with the decoder's thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoded(Arc<Mutex<Vec<Option<ClockTime>>>>);

impl Decoded {
    /// Another picture.
    pub(super) fn add(&self, time: Option<ClockTime>) {
        self.lock().push(time);
    }

    /// The next segment begins.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Pictures so far.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether the pictures are those that should be shown at `times` after `base`.
    pub(super) fn check(&self, base: Timestamp, times: &[Timestamp]) -> Result<(), PipelineError> {
        let decoded = self.lock();
        let undecodable = |text| Err(PipelineError::Undecodable(text));
        if decoded.len() != times.len() {
            return undecodable(format!(
                "{} of {} pictures came out of the decoder",
                decoded.len(),
                times.len()
            ));
        }
        let at = |time: &Option<ClockTime>| time.map(|t| base + clock::to_ticks(t));
        if decoded.iter().map(at).ne(times.iter().copied().map(Some)) {
            return undecodable("its pictures are not in the order of their times".to_owned());
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<ClockTime>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
