//! What Prometheus sees of a transcode node.

mod jobs;
mod load;
mod workers;

use prometheus::{IntCounter, IntGauge, Registry};
use rackcast_service::metrics::Make;

use crate::gpus;

pub use jobs::Jobs;
pub(crate) use jobs::{Took, class};
pub(crate) use workers::Sessions;

use load::Load;
use workers::Workers;

/// Labels of what is told of each device, and of each class of its jobs.
const OF_DEVICE: [&str; 1] = ["device"];
const OF_CLASS: [&str; 2] = ["device", "class"];
/// Seconds: from a small job on an idle node to a deadline.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0, 3.0, 6.0,
];

/// All metrics of the node.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Open connections.
    pub connections: IntGauge,
    /// Connections that were ended since their peers did not take an answer.
    pub untaken: IntCounter,
    /// What became of jobs.
    pub jobs: Jobs,
    /// How workers fare.
    pub(crate) workers: Workers,
    /// How busy all is.
    pub(crate) load: Load,
    /// Of GPUs.
    pub gpus: gpus::Metrics,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let make = Make(registry);
        Ok(Self {
            connections: make.gauge("rackcast_transcode_connections", "Open connections.")?,
            untaken: make.counter(
                "rackcast_transcode_answers_untaken_total",
                "Connections ended since their peers did not take an answer.",
            )?,
            jobs: Jobs::register(make)?,
            workers: Workers::register(make)?,
            load: Load::register(make)?,
            gpus: gpus::Metrics::register(registry)?,
        })
    }
}
