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
    /// Publications that sent faster than they play, and were made to wait.
    pub slowed: IntCounter,
    /// Times that a stream was another ingest's as well, by what followed.
    contests: IntCounterVec,
    /// Bit rates of what was delivered.
    pub rates: RateMetrics,
}

/// What renditions got, over what they were to have.
#[derive(Debug, Clone)]
pub struct RateMetrics {
    /// Bytes of video that came, by rung.
    pub got: IntCounterVec,
    /// Bytes of video that those segments were to have.
    pub due: IntCounterVec,
    /// Times that a bound of `[stream.rate]` was met.
    pub limited: IntCounterVec,
}

impl RateMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        Ok(Self {
            got: counters(
                "rackcast_ingest_rate_delivered_bytes_total",
                "Bytes of video of the renditions that transcoders delivered",
                "rung",
            )?,
            due: counters(
                "rackcast_ingest_rate_target_bytes_total",
                "Bytes of video that those were to have by the ladder's bit rates",
                "rung",
            )?,
            limited: counters(
                "rackcast_ingest_rate_limited_total",
                "Times that a bound of stream.rate was met",
                "limit",
            )?,
        })
    }

    /// A rendition came that has this place in its ladder, from 0 for the highest.
    pub(super) fn delivered(&self, rung: usize, bits: u64, due: u64) {
        let rung = rung.saturating_add(1).to_string();
        self.got.with_label_values(&[&rung]).inc_by(bits / 8);
        self.due.with_label_values(&[&rung]).inc_by(due / 8);
    }
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
            slowed: IntCounter::new(
                "rackcast_ingest_slowed_publications_total",
                "Publications that sent faster than they play, and were made to wait",
            )?,
            contests: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_stream_contests_total",
                    "Times that another ingest had a stream of this one, by what followed",
                ),
                &["result"],
            )?,
            rates: RateMetrics::register(registry)?,
        };
        registry.register(Box::new(metrics.streams.clone()))?;
        registry.register(Box::new(metrics.publishes.clone()))?;
        registry.register(Box::new(metrics.publication_ends.clone()))?;
        registry.register(Box::new(metrics.dropped_events.clone()))?;
        registry.register(Box::new(metrics.contests.clone()))?;
        registry.register(Box::new(metrics.slowed.clone()))?;
        Ok(metrics)
    }

    pub(super) fn contested(&self, result: &str) {
        self.contests.with_label_values(&[result]).inc();
    }
}
