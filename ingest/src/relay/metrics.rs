use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// What relays count, by the kind of process that was asked.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    bytes: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_relay_requests_total",
                    "Requests passed on to another process, by its answer",
                ),
                &["to", "result"],
            )?,
            bytes: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_relay_bytes_total",
                    "Bytes of bodies fetched from another process",
                ),
                &["to"],
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn asked(&self, to: &str, result: &str) {
        self.requests.with_label_values(&[to, result]).inc();
    }

    pub(super) fn sent(&self, to: &str) -> IntCounter {
        self.bytes.with_label_values(&[to])
    }
}
