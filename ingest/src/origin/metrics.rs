//! What the origin counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::window::Published;

/// Counters and gauges of all streams.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    segments: IntCounterVec,
    larger: IntCounter,
    pub(super) late: IntCounter,
    pub(super) held: IntGauge,
    pub(super) streams: IntGauge,
    given_up: IntCounterVec,
    requests: IntCounterVec,
    sent: IntCounterVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            segments: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_origin_segments_total",
                    "Segments listed, over all renditions, as media or as gaps",
                ),
                &["as"],
            )?,
            larger: IntCounter::new(
                "rackcast_ingest_origin_larger_segments_total",
                "Segments of transcoders for which a BANDWIDTH had to be raised",
            )?,
            late: IntCounter::new(
                "rackcast_ingest_origin_late_segments_total",
                "Results dropped because their segment was settled or gone",
            )?,
            held: IntGauge::new(
                "rackcast_ingest_origin_held_bytes",
                "Bytes of media in memory",
            )?,
            streams: IntGauge::new(
                "rackcast_ingest_origin_streams",
                "Streams that can be played",
            )?,
            given_up: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_origin_given_up_total",
                    "What origin.max_bytes left no room for",
                ),
                &["what"],
            )?,
            requests: IntCounterVec::new(
                Opts::new("rackcast_ingest_origin_requests_total", "Requests answered"),
                &["kind", "status"],
            )?,
            sent: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_origin_sent_bytes_total",
                    "Bytes of bodies answered",
                ),
                &["kind"],
            )?,
        };
        registry.register(Box::new(metrics.segments.clone()))?;
        registry.register(Box::new(metrics.larger.clone()))?;
        registry.register(Box::new(metrics.late.clone()))?;
        registry.register(Box::new(metrics.held.clone()))?;
        registry.register(Box::new(metrics.streams.clone()))?;
        registry.register(Box::new(metrics.given_up.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.sent.clone()))?;
        Ok(metrics)
    }

    pub(super) fn published(&self, published: &Published) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let of = |label| self.segments.with_label_values(&[label]);
        of("media").inc_by(count(published.media));
        of("gap").inc_by(count(published.gaps));
        self.larger.inc_by(count(published.larger));
    }

    /// A presentation that ended, a segment, or a result, was given up.
    pub(super) fn gave_up(&self, what: &str) {
        self.given_up.with_label_values(&[what]).inc();
    }

    pub(super) fn request(&self, kind: &str, status: u16, bytes: usize) {
        let status = status.to_string();
        self.requests.with_label_values(&[kind, &status]).inc();
        self.sent
            .with_label_values(&[kind])
            .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}
