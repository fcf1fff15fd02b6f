//! What the stages of a job take of the processor.
//!
//! A pipeline decodes, converts and scales in the thread that feeds it, and encodes in others. So the
//! kernel's clocks of that thread and of the process tell it all; only what converters and scalers
//! take is asked at their pads, picture by picture. Of a stage on a GPU
//! these are the seconds that its driver takes of the processor, not those of the GPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gst::prelude::*;
use gstreamer as gst;
use nix::time::ClockId;
use serde::{Deserialize, Serialize};

use super::element::pad;
use super::error::PipelineError;

/// Processor time of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// To parse and decode the source.
    pub decode: Duration,
    /// To convert and scale its pictures.
    pub scale: Duration,
    /// To encode all renditions, and to write them.
    pub encode: Duration,
}

/// Processor time so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    thread: Duration,
    process: Duration,
}

impl Clocks {
    /// Of this thread, and of this process. Nothing where the kernel has no such clocks.
    pub(super) fn now() -> Self {
        Self {
            thread: clock(ClockId::CLOCK_THREAD_CPUTIME_ID),
            process: clock(ClockId::CLOCK_PROCESS_CPUTIME_ID),
        }
    }

    /// What a job has taken that began here, was `fed` to its pipeline by then and is over now.
    pub(super) fn spent(self, fed: Self, meter: &Meter) -> Spent {
        let feeding = fed.thread.saturating_sub(self.thread);
        let all = Self::now().process.saturating_sub(self.process);
        let scale = meter.take();
        Spent {
            decode: feeding.saturating_sub(scale),
            scale,
            encode: all.saturating_sub(feeding),
        }
    }
}

fn clock(which: ClockId) -> Duration {
    which.now().map(Duration::from).unwrap_or_default()
}

/// Counts the processor time that elements take between their pads.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// From now on this element counts too, which makes one picture of one in the thread that brings
    /// it.
    pub(super) fn watch(&self, element: &gst::Element) -> Result<(), PipelineError> {
        let entered = Arc::new(AtomicU64::new(0));
        let (begin, total) = (entered.clone(), self.0.clone());
        pad(element, "sink")?.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            begin.store(nanos(), Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        pad(element, "src")?.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let took = nanos().saturating_sub(entered.load(Ordering::Relaxed));
            total.fetch_add(took, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }

    /// What was counted since this was last asked.
    pub(super) fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

fn nanos() -> u64 {
    let time = clock(ClockId::CLOCK_THREAD_CPUTIME_ID).as_nanos();
    u64::try_from(time).unwrap_or(u64::MAX)
}
