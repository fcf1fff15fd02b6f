use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// Figures of the directory of streams.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Streams that stand there.
    pub(super) entered: IntGauge,
    /// Writes, by result.
    writes: IntCounterVec,
    /// Questions for streams that are not here, by result.
    lookups: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let by_result =
            |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &["result"]);
        let metrics = Self {
            entered: IntGauge::new(
                "rackcast_ingest_directory_streams",
                "Streams of this process that shall stand in the fleet's directory",
            )?,
            writes: by_result(
                "rackcast_ingest_directory_writes_total",
                "Writes to the fleet's directory of streams",
            )?,
            lookups: by_result(
                "rackcast_ingest_directory_lookups_total",
                "Streams that were asked for and are not here",
            )?,
        };
        registry.register(Box::new(metrics.entered.clone()))?;
        registry.register(Box::new(metrics.writes.clone()))?;
        registry.register(Box::new(metrics.lookups.clone()))?;
        Ok(metrics)
    }

    pub(super) fn wrote(&self, result: &str) {
        self.writes.with_label_values(&[result]).inc();
    }

    pub(super) fn looked(&self, result: &str) {
        self.lookups.with_label_values(&[result]).inc();
    }
}
