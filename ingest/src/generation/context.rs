//! What every part of a generation is made with.

use std::sync::Arc;

use prometheus::Registry;
use rackcast_service::metrics;
use rackcast_service::status::Role;
use rackcast_service::vital;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::turn::Turn;

/// What every part is made with.
#[derive(Debug)]
pub(super) struct Context {
    /// What it began with; what changes while it runs goes through the reload.
    pub(super) config: Arc<Config>,
    pub(super) metrics: Registry,
    /// What runs; the generation has ended when it has.
    pub(super) tasks: TaskTracker,
    pub(super) turn: Turn,
}

impl Context {
    /// The context of the generation of this number.
    ///
    /// # Errors
    /// Two metrics have one name: a defect.
    pub(super) fn new(config: Arc<Config>, number: u64) -> Result<Self, prometheus::Error> {
        let label = [("generation".to_owned(), number.to_string())];
        let registry = Registry::new_custom(None, Some(label.into()))?;
        metrics::build_info(&registry, Role::Ingest.as_str(), env!("CARGO_PKG_VERSION"))?;
        Ok(Self {
            config,
            metrics: registry,
            tasks: TaskTracker::new(),
            turn: Turn::default(),
        })
    }

    /// Starts what the generation cannot do without until it ends.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = vital::vital(name, &self.shutdown(), task);
        self.tasks.spawn(task);
    }

    /// Cancelled when everything ends.
    pub(super) fn shutdown(&self) -> CancellationToken {
        self.turn.serving().clone()
    }
}
