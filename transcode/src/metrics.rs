//! What Prometheus sees of a transcode node.

use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry,
};
use rackcast_segment::wire::load::Load;

use crate::admission::DeviceLoad;

/// Seconds: from a small job on an idle node to a deadline.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0, 3.0, 6.0,
];
/// Working time over media time; 0.8 is the bar for real time.
const FACTOR: [f64; 10] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 3.0];

/// All metrics of the node.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Jobs admitted.
    pub admitted: IntCounter,
    /// Requests that were answered with a refusal or failed, by reason.
    pub refused: IntCounterVec,
    /// Jobs whose client went away.
    pub cancelled: IntCounter,
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
    slots: IntGauge,
    busy: IntGauge,
    queued: IntGauge,
    pixel_rate: IntGauge,
    device_slots: GaugeVec,
    device_busy: GaugeVec,
    device_queued: GaugeVec,
    device_load: GaugeVec,
    device_slowdown: GaugeVec,
    device_pixel_rate: GaugeVec,
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
        let labelled = |name: &str, label: &str, help: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let metric = Histogram::with_opts(opts)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let by_device = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let metric = HistogramVec::new(opts, &["device"])?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let of_device = |name: &str, help: &str| {
            let metric = GaugeVec::new(Opts::new(name, help), &["device"])?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        Ok(Self {
            admitted: counter("rackcast_transcode_jobs_admitted_total", "Jobs admitted.")?,
            completed: counter(
                "rackcast_transcode_jobs_completed_total",
                "Jobs of which every rendition was made.",
            )?,
            refused: labelled(
                "rackcast_transcode_jobs_refused_total",
                "reason",
                "Requests refused or failed, by reason.",
            )?,
            cancelled: counter(
                "rackcast_transcode_jobs_cancelled_total",
                "Jobs whose client went away.",
            )?,
            upload: histogram(
                "rackcast_transcode_upload_seconds",
                "From admission to the body's end.",
                &SECONDS,
            )?,
            queue: by_device(
                "rackcast_transcode_queue_seconds",
                "From admission to a worker.",
                &SECONDS,
            )?,
            work: by_device(
                "rackcast_transcode_work_seconds",
                "From a worker to the last rendition.",
                &SECONDS,
            )?,
            factor: by_device(
                "rackcast_transcode_real_time_ratio",
                "Working time over media time.",
                &FACTOR,
            )?,
            bytes_out: counter(
                "rackcast_transcode_rendition_bytes_total",
                "Bytes of renditions made.",
            )?,
            worker_ends: labelled(
                "rackcast_transcode_worker_ends_total",
                "reason",
                "Workers that ended, by reason.",
            )?,
            self_tests: labelled(
                "rackcast_transcode_self_tests_total",
                "result",
                "Self-tests of workers, by result.",
            )?,
            self_test: histogram(
                "rackcast_transcode_self_test_seconds",
                "What a passed self-test took.",
                &SECONDS,
            )?,
            quarantine: labelled(
                "rackcast_transcode_quarantine_jobs_total",
                "result",
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

    pub(crate) fn worker_end(&self, reason: &str) {
        self.worker_ends.with_label_values(&[reason]).inc();
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

    pub(crate) fn done(&self, device: &str, queued: Duration, worked: Duration, media: Duration) {
        self.completed.inc();
        let factor = worked.as_secs_f64() / media.as_secs_f64().max(0.001);
        for (histogram, value) in [
            (&self.queue, queued.as_secs_f64()),
            (&self.work, worked.as_secs_f64()),
            (&self.factor, factor),
        ] {
            histogram.with_label_values(&[device]).observe(value);
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
