use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::store::{Limit, Store};

/// What the memory of decisions holds and loses.
#[derive(Debug)]
pub(super) struct Metrics {
    streams: IntGauge,
    segments: IntGauge,
    bytes: IntGauge,
    dropped: IntCounterVec,
    shortened: IntCounter,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            streams: IntGauge::new(
                "rackcast_ingest_explain_streams",
                "Streams whose decisions are remembered",
            )?,
            segments: IntGauge::new(
                "rackcast_ingest_explain_segments",
                "Segments whose decisions are remembered",
            )?,
            bytes: IntGauge::new(
                "rackcast_ingest_explain_held_bytes",
                "Bytes that remembered decisions take, about",
            )?,
            dropped: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_explain_dropped_segments_total",
                    "Segments whose decisions were forgotten, by the limit that was reached",
                ),
                &["limit"],
            )?,
            shortened: IntCounter::new(
                "rackcast_ingest_explain_shortened_answers_total",
                "Answers that had no room for all that was asked",
            )?,
        };
        registry.register(Box::new(metrics.streams.clone()))?;
        registry.register(Box::new(metrics.segments.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        registry.register(Box::new(metrics.shortened.clone()))?;
        Ok(metrics)
    }

    pub(super) fn holds(&self, store: &Store) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.streams.set(gauge(store.streams()));
        self.segments.set(gauge(store.segments()));
        self.bytes.set(gauge(store.bytes()));
    }

    pub(super) fn shortened(&self) {
        self.shortened.inc();
    }

    pub(super) fn dropped(&self, limit: Limit, count: usize) {
        if count > 0 {
            let dropped = self.dropped.with_label_values(&[limit.as_str()]);
            dropped.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}
