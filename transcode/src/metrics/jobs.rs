//! What became of jobs, and what those took that were done.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use rackcast_segment::wire::job::JobSpec;
use rackcast_service::metrics::Make;

use super::{OF_CLASS, SECONDS};
use crate::pipeline::Spent;

/// Working time over media time; 0.8 is the bar for real time.
const FACTOR: [f64; 10] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 3.0];
/// Processor seconds of a stage: from scaling a small picture to encoding a large ladder.
const STAGE: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 6.0, 12.0,
];

/// What kind of work a job is, by the pixels of a source picture: what it takes is compared among its
/// like only.
pub(crate) fn class(job: &JobSpec) -> &'static str {
    let format = &job.source.format;
    match u64::from(format.width) * u64::from(format.height) {
        0..=589_824 => "sd",
        589_825..=921_600 => "hd",
        921_601..=2_088_960 => "full-hd",
        _ => "uhd",
    }
}

/// What a job that is done took.
pub(crate) struct Took {
    /// From admission to a worker.
    pub(crate) queued: Duration,
    /// From there to the last rendition.
    pub(crate) worked: Duration,
    /// How long its segment plays.
    pub(crate) media: Duration,
    /// Of the processor, where that is known.
    pub(crate) spent: Option<Spent>,
}

/// Counts and times of jobs.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// Jobs admitted.
    pub admitted: IntCounter,
    /// Jobs whose client went away.
    pub cancelled: IntCounter,
    /// Seconds from admission to the body's last byte.
    pub upload: Histogram,
    /// Bytes of renditions that workers made.
    pub bytes_out: IntCounter,
    refused: IntCounterVec,
    completed: IntCounter,
    queue: HistogramVec,
    work: HistogramVec,
    factor: HistogramVec,
    decode: HistogramVec,
    scale: HistogramVec,
    encode: HistogramVec,
}

impl Jobs {
    pub(super) fn register(make: Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            admitted: make.counter("rackcast_transcode_jobs_admitted_total", "Jobs admitted.")?,
            completed: make.counter(
                "rackcast_transcode_jobs_completed_total",
                "Jobs of which every rendition was made.",
            )?,
            refused: make.counters(
                "rackcast_transcode_jobs_refused_total",
                "Requests refused or failed, by reason.",
                &["reason"],
            )?,
            cancelled: make.counter(
                "rackcast_transcode_jobs_cancelled_total",
                "Jobs whose client went away.",
            )?,
            upload: make.histogram(
                "rackcast_transcode_upload_seconds",
                "From admission to the body's end.",
                &SECONDS,
            )?,
            queue: make.histograms(
                "rackcast_transcode_queue_seconds",
                "From admission to a worker.",
                &OF_CLASS,
                &SECONDS,
            )?,
            work: make.histograms(
                "rackcast_transcode_work_seconds",
                "From a worker to the last rendition.",
                &OF_CLASS,
                &SECONDS,
            )?,
            factor: make.histograms(
                "rackcast_transcode_real_time_ratio",
                "Working time over media time.",
                &OF_CLASS,
                &FACTOR,
            )?,
            decode: make.histograms(
                "rackcast_transcode_decode_cpu_seconds",
                "Processor time to decode a segment.",
                &OF_CLASS,
                &STAGE,
            )?,
            scale: make.histograms(
                "rackcast_transcode_scale_cpu_seconds",
                "Processor time to scale a segment's pictures.",
                &OF_CLASS,
                &STAGE,
            )?,
            encode: make.histograms(
                "rackcast_transcode_encode_cpu_seconds",
                "Processor time to encode all renditions of a segment.",
                &OF_CLASS,
                &STAGE,
            )?,
            bytes_out: make.counter(
                "rackcast_transcode_rendition_bytes_total",
                "Bytes of renditions made.",
            )?,
        })
    }

    /// Counts a refusal or a failure.
    pub fn refuse(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// A job of this class is done.
    pub(crate) fn done(&self, device: &str, class: &str, took: &Took) {
        self.completed.inc();
        let worked = took.worked.as_secs_f64();
        let observe = |histogram: &HistogramVec, value: f64| {
            let labels = [device, class];
            histogram.with_label_values(&labels).observe(value);
        };
        observe(&self.queue, took.queued.as_secs_f64());
        observe(&self.work, worked);
        observe(&self.factor, worked / took.media.as_secs_f64().max(0.001));
        if let Some(spent) = took.spent {
            observe(&self.decode, spent.decode.as_secs_f64());
            observe(&self.scale, spent.scale.as_secs_f64());
            observe(&self.encode, spent.encode.as_secs_f64());
        }
    }
}
