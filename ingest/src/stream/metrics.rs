//! Figures of the streams as a whole.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters and gauges of the streams.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Streams with a publisher or in their grace.
    pub streams: IntGauge,
    /// Publishers that were admitted or refused, by result.
    pub publishes: IntCounterVec,
    /// Ends of publications, by reason.
    pub publication_ends: IntCounterVec,
    /// Pictures and audio frames that did not fit into their stream.
    pub dropped_events: IntCounter,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            streams: IntGauge::new(
                "rackcast_ingest_streams",
                "Streams with a publisher or waiting for it to return",
            )?,
            publishes: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_publishes_total",
                    "Publishers by what became of them",
                ),
                &["result"],
            )?,
            publication_ends: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_publication_ends_total",
                    "Ends of publications",
                ),
                &["reason"],
            )?,
            dropped_events: IntCounter::new(
                "rackcast_ingest_dropped_events_total",
                "Pictures and audio frames that did not fit into their stream",
            )?,
        };
        registry.register(Box::new(metrics.streams.clone()))?;
        registry.register(Box::new(metrics.publishes.clone()))?;
        registry.register(Box::new(metrics.publication_ends.clone()))?;
        registry.register(Box::new(metrics.dropped_events.clone()))?;
        Ok(metrics)
    }
}
