//! `rackcast_ingest_rtmp_*`.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What RTMP publishers do to this ingest.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) connections: IntGauge,
    pub(super) turned_away: IntCounterVec,
    pub(super) publishers: IntGauge,
    pub(super) publishes: IntCounter,
    pub(super) refusals: IntCounterVec,
    pub(super) received: IntCounter,
    pub(super) errors: IntCounterVec,
    pub(super) timeouts: IntCounterVec,
    pub(super) notices: IntCounterVec,
}

impl Metrics {
    /// Open connections.
    pub fn open(&self) -> i64 {
        self.connections.get()
    }

    /// Registers them.
    ///
    /// # Errors
    /// A name that is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let labelled = |name: &str, help: &str, label: &str| {
            let opts = Opts::new(name, help);
            let counters = IntCounterVec::new(opts, &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        Ok(Self {
            connections: gauge("rackcast_ingest_rtmp_connections", "Open RTMP connections.")?,
            turned_away: labelled(
                "rackcast_ingest_rtmp_turned_away_total",
                "Connections closed at once because a limit on connections was reached.",
                "limit",
            )?,
            publishers: gauge(
                "rackcast_ingest_rtmp_publishers",
                "RTMP connections that publish.",
            )?,
            publishes: counter("rackcast_ingest_rtmp_publishes_total", "Publishers let in.")?,
            refusals: labelled(
                "rackcast_ingest_rtmp_refusals_total",
                "Publishers refused.",
                "reason",
            )?,
            received: counter(
                "rackcast_ingest_rtmp_received_bytes_total",
                "Bytes received from RTMP peers.",
            )?,
            errors: labelled(
                "rackcast_ingest_rtmp_errors_total",
                "Connections ended because of what the peer sent.",
                "kind",
            )?,
            timeouts: labelled(
                "rackcast_ingest_rtmp_timeouts_total",
                "Connections ended because the peer was too slow.",
                "phase",
            )?,
            notices: labelled(
                "rackcast_ingest_rtmp_notices_total",
                "Messages mended or dropped while the publication went on.",
                "kind",
            )?,
        })
    }
}
