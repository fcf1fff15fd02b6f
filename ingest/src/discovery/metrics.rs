use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// What discovery counts.
#[derive(Debug)]
pub(super) struct Metrics {
    /// Instances of the catalog that make no sense.
    pub(super) unfit: IntGauge,
    /// Nodes beyond the most that are taken over.
    pub(super) ignored: IntGauge,
    /// Whether the list of nodes is what Consul says now.
    pub(super) fresh: IntGauge,
    /// Probes, by result.
    pub(super) probes: IntCounterVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            unfit: IntGauge::new(
                "rackcast_ingest_discovery_unfit_instances",
                "Instances of the catalog whose registration makes no sense",
            )?,
            ignored: IntGauge::new(
                "rackcast_ingest_discovery_ignored_nodes",
                "Nodes of the catalog beyond discovery.max_nodes",
            )?,
            fresh: IntGauge::new(
                "rackcast_ingest_discovery_fresh",
                "1 while the list of nodes is what Consul says now, else 0",
            )?,
            probes: IntCounterVec::new(
                Opts::new(
                    "rackcast_ingest_discovery_probes_total",
                    "Probes of nodes' load by result",
                ),
                &["result"],
            )?,
        };
        registry.register(Box::new(metrics.unfit.clone()))?;
        registry.register(Box::new(metrics.ignored.clone()))?;
        registry.register(Box::new(metrics.fresh.clone()))?;
        registry.register(Box::new(metrics.probes.clone()))?;
        Ok(metrics)
    }
}
