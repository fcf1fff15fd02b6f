use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use rackcast_route::Standing;

/// What discovery counts.
#[derive(Debug)]
pub(super) struct Metrics {
    /// Nodes, by how they stand with this ingest.
    nodes: IntGaugeVec,
    /// Instances of the catalog that make no sense.
    pub(super) unfit: IntGauge,
    /// Whether the list of nodes is what Consul says now.
    pub(super) fresh: IntGauge,
    /// Probes, by result.
    pub(super) probes: IntCounterVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            nodes: IntGaugeVec::new(
                Opts::new(
                    "rackcast_ingest_discovery_nodes",
                    "Transcode nodes by how they stand with this ingest",
                ),
                &["standing"],
            )?,
            unfit: IntGauge::new(
                "rackcast_ingest_discovery_unfit_instances",
                "Instances of the catalog whose registration makes no sense",
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
        registry.register(Box::new(metrics.nodes.clone()))?;
        registry.register(Box::new(metrics.unfit.clone()))?;
        registry.register(Box::new(metrics.fresh.clone()))?;
        registry.register(Box::new(metrics.probes.clone()))?;
        Ok(metrics)
    }

    pub(super) fn count_nodes(&self, standings: impl Iterator<Item = Standing>) {
        let labels = [
            "unmeasured",
            "good",
            "blocked",
            "ejected",
            "trial",
            "draining",
        ];
        let mut counts = [0i64; 6];
        for standing in standings {
            let i = match standing {
                Standing::Unmeasured => 0,
                Standing::Good => 1,
                Standing::Blocked(_) => 2,
                Standing::Ejected(_) => 3,
                Standing::Trial => 4,
                Standing::Draining => 5,
            };
            counts[i] += 1;
        }
        for (label, count) in labels.iter().zip(counts) {
            self.nodes.with_label_values(&[*label]).set(count);
        }
    }
}
