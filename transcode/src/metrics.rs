//! What Prometheus sees of a transcode node.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry,
};
use rackcast_segment::wire::job::JobSpec;
use rackcast_segment::wire::load::Load;

use crate::admission::DeviceLoad;
use crate::gpus;
use crate::pipeline::Spent;

/// Seconds: from a small job on an idle node to a deadline.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0, 3.0, 6.0,
];
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

/// Encoder sessions of one worker; none once this is dropped.
pub(crate) struct Sessions {
    gauge: Gauge,
    open: u32,
}

impl Sessions {
    /// As the worker says.
    pub(crate) fn set(&mut self, open: u32) {
        self.gauge.add(f64::from(open) - f64::from(self.open));
        self.open = open;
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// All metrics of the node.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Jobs admitted.
    pub admitted: IntCounter,
    /// Requests that were answered with a refusal or failed, by reason.
    pub refused: IntCounterVec,
    /// Jobs whose client went away.
    pub cancelled: IntCounter,
    /// Connections that were ended since their peers did not take an answer.
    pub untaken: IntCounter,
    /// Seconds from admission to the body's last byte.
    pub upload: Histogram,
    /// Bytes of renditions that workers made.
    pub bytes_out: IntCounter,
    /// Open connections.
    pub connections: IntGauge,
    worker_ends: IntCounterVec,
    self_tests: IntCounterVec,
    self_test: Histogram,
    quarantine: IntCounterVec,
    completed: IntCounter,
    queue: HistogramVec,
    work: HistogramVec,
    factor: HistogramVec,
    decode: HistogramVec,
    scale: HistogramVec,
    encode: HistogramVec,
    slots: IntGauge,
    busy: IntGauge,
    queued: IntGauge,
    pixel_rate: IntGauge,
    device_slots: GaugeVec,
    device_sessions: GaugeVec,
    device_busy: GaugeVec,
    device_queued: GaugeVec,
    device_load: GaugeVec,
    device_slowdown: GaugeVec,
    device_pixel_rate: GaugeVec,
    /// Of GPUs.
    pub gpus: gpus::Metrics,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let labelled = |name: &str, labels: &[&str], help: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let metric = Histogram::with_opts(opts)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let by_class = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let metric = HistogramVec::new(opts, &["device", "class"])?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let of_device = |name: &str, help: &str| {
            let metric = GaugeVec::new(Opts::new(name, help), &["device"])?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        Ok(Self {
            gpus: gpus::Metrics::register(registry)?,
            admitted: counter("rackcast_transcode_jobs_admitted_total", "Jobs admitted.")?,
            completed: counter(
                "rackcast_transcode_jobs_completed_total",
                "Jobs of which every rendition was made.",
            )?,
            refused: labelled(
                "rackcast_transcode_jobs_refused_total",
                &["reason"],
                "Requests refused or failed, by reason.",
            )?,
            cancelled: counter(
                "rackcast_transcode_jobs_cancelled_total",
                "Jobs whose client went away.",
            )?,
            untaken: counter(
                "rackcast_transcode_answers_untaken_total",
                "Connections ended since their peers did not take an answer.",
            )?,
            upload: histogram(
                "rackcast_transcode_upload_seconds",
                "From admission to the body's end.",
                &SECONDS,
            )?,
            queue: by_class(
                "rackcast_transcode_queue_seconds",
                "From admission to a worker.",
                &SECONDS,
            )?,
            work: by_class(
                "rackcast_transcode_work_seconds",
                "From a worker to the last rendition.",
                &SECONDS,
            )?,
            factor: by_class(
                "rackcast_transcode_real_time_ratio",
                "Working time over media time.",
                &FACTOR,
            )?,
            decode: by_class(
                "rackcast_transcode_decode_cpu_seconds",
                "Processor time to decode a segment.",
                &STAGE,
            )?,
            scale: by_class(
                "rackcast_transcode_scale_cpu_seconds",
                "Processor time to scale a segment's pictures.",
                &STAGE,
            )?,
            encode: by_class(
                "rackcast_transcode_encode_cpu_seconds",
                "Processor time to encode all renditions of a segment.",
                &STAGE,
            )?,
            bytes_out: counter(
                "rackcast_transcode_rendition_bytes_total",
                "Bytes of renditions made.",
            )?,
            worker_ends: labelled(
                "rackcast_transcode_worker_ends_total",
                &["device", "reason"],
                "Workers that ended, by reason.",
            )?,
            self_tests: labelled(
                "rackcast_transcode_self_tests_total",
                &["result"],
                "Self-tests of workers, by result.",
            )?,
            self_test: histogram(
                "rackcast_transcode_self_test_seconds",
                "What a passed self-test took.",
                &SECONDS,
            )?,
            quarantine: labelled(
                "rackcast_transcode_quarantine_jobs_total",
                &["result"],
                "Jobs that ran alone in a disposable worker, by result.",
            )?,
            connections: gauge("rackcast_transcode_connections", "Open connections.")?,
            slots: gauge("rackcast_transcode_slots", "Workers that are up.")?,
            busy: gauge("rackcast_transcode_jobs_running", "Jobs at a worker.")?,
            queued: gauge(
                "rackcast_transcode_jobs_queued",
                "Jobs uploading or waiting.",
            )?,
            pixel_rate: gauge(
                "rackcast_transcode_pixels_per_second",
                "Output pixels a second of the default ladder, as measured.",
            )?,
            device_slots: of_device("rackcast_transcode_device_slots", "Workers that are up.")?,
            device_sessions: of_device(
                "rackcast_transcode_device_sessions",
                "Encoders that the device's workers have open.",
            )?,
            device_busy: of_device(
                "rackcast_transcode_device_jobs_running",
                "Jobs at a worker of the device.",
            )?,
            device_queued: of_device(
                "rackcast_transcode_device_jobs_queued",
                "Jobs uploading to the device or waiting for it.",
            )?,
            device_load: of_device(
                "rackcast_transcode_device_load_ratio",
                "Busy time over media time of the device's streams, for each slot.",
            )?,
            device_slowdown: of_device(
                "rackcast_transcode_device_slowdown_ratio",
                "What jobs take over what they should by the calibration.",
            )?,
            device_pixel_rate: of_device(
                "rackcast_transcode_device_pixels_per_second",
                "Output pixels a second of the default ladder, as measured.",
            )?,
        })
    }

    /// Counts a refusal or a failure.
    pub fn refuse(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    pub(crate) fn worker_end(&self, device: &str, reason: &str) {
        self.worker_ends.with_label_values(&[device, reason]).inc();
    }

    pub(crate) fn sessions(&self, device: &str) -> Sessions {
        Sessions {
            gauge: self.device_sessions.with_label_values(&[device]),
            open: 0,
        }
    }

    /// A worker has tested itself, and how long a success took.
    pub(crate) fn self_test(&self, result: Result<Duration, ()>) {
        let label = match result {
            Ok(took) => {
                self.self_test.observe(took.as_secs_f64());
                "passed"
            }
            Err(()) => "failed",
        };
        self.self_tests.with_label_values(&[label]).inc();
    }

    pub(crate) fn quarantine(&self, result: &str) {
        self.quarantine.with_label_values(&[result]).inc();
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

    pub(crate) fn device(&self, device: &str, load: &DeviceLoad) {
        for (gauge, value) in [
            (&self.device_slots, load.slots as f64),
            (&self.device_busy, load.busy as f64),
            (&self.device_queued, load.queued as f64),
            (&self.device_load, load.ratio),
            (&self.device_slowdown, load.factor),
            (&self.device_pixel_rate, load.pixel_rate),
        ] {
            gauge.with_label_values(&[device]).set(value);
        }
    }

    pub(crate) fn load(&self, load: &Load) {
        self.slots.set(load.slots.into());
        self.busy.set(load.busy.into());
        self.queued.set(load.queued.into());
        self.pixel_rate.set(load.pixel_rate as i64);
    }
}
