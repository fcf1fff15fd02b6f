//! Gets one segment transcoded before its deadline, whatever the nodes do.
//!
//! A task per segment asks `route` for a node, sends the segment over a pooled HTTP/2
//! connection ([`link`]), verifies every rendition as it arrives and hands it out at once. What
//! did not come, or was wrong, is asked again of another node: only the renditions that are
//! missing, only while the budgets of retries allow it, and never past the deadline.
//!
//! What bounds it: segments in flight (all together here, per node in `route`), attempts per
//! segment, one budget for retries and one for push-back, a limit on every length, and the
//! deadline, at which the request is cancelled and everything outstanding is
//! [`Reason::Deadline`]. The publisher is never blocked: [`Dispatcher::submit`] returns at
//! once.
//!
//! A node that says that a segment cannot be decoded makes a claim: a second node has to
//! confirm it. When both agree no third node sees the segment ([`Reason::Poison`]); when the
//! second one transcodes it, the first one failed.

mod attempt;
mod attempts;
mod config;
mod flight;
pub mod link;
mod metrics;
mod order;
mod outstanding;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use rackcast_route::{Budget, FailureKind, NoNodeReason, NodeId, Table};
use rackcast_segment::id::{RenditionName, Sequence, StreamId, StreamToken};
use rackcast_segment::wire::job::JobSpec;
use tokio::sync::{Notify, Semaphore, mpsc};

pub use config::{Config, LinkConfig};
use link::Pool;
use metrics::Metrics;

/// The route table, as discovery and dispatch share it. The lock is held for one decision and
/// never across an await.
pub type SharedTable = Arc<Mutex<Table>>;

/// One segment to be transcoded.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose segment; stays on this machine.
    pub id: StreamId,
    /// What nodes call the stream.
    pub token: StreamToken,
    /// Which segment.
    pub sequence: Sequence,
    /// What is sent and what is asked.
    pub spec: JobSpec,
    /// The segment: MPEG-TS with one H.264 stream.
    pub body: Bytes,
    /// When an answer is worthless.
    pub deadline: Instant,
}

/// What became of one rendition.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It came and was verified.
    Ready {
        /// Which.
        rendition: RenditionName,
        /// MPEG-TS.
        media: Bytes,
    },
    /// It will not come.
    Missing {
        /// Which.
        rendition: RenditionName,
        /// Why not.
        reason: Reason,
    },
}

/// Why a rendition will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was not there at the segment's deadline.
    Deadline,
    /// No node could be asked.
    NoNode(NoNodeReason),
    /// As many nodes failed as may be asked.
    Attempts,
    /// The budget for retries, or for push-back, is spent.
    Budget,
    /// Two nodes say that the segment cannot be transcoded.
    Poison,
    /// Too many segments are in flight.
    TooManyInFlight,
}

impl Reason {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::NoNode(reason) => reason.as_str(),
            Self::Attempts => "attempts",
            Self::Budget => "budget",
            Self::Poison => "poison",
            Self::TooManyInFlight => "too-many-in-flight",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Sends segments to nodes. One for an ingest: what one stream learns, all know.
#[derive(Debug)]
pub struct Dispatcher {
    config: Config,
    table: SharedTable,
    pool: Arc<Pool>,
    budgets: Mutex<Budgets>,
    slots: Arc<Semaphore>,
    /// A node has become free: whoever waits for one looks again.
    freed: Notify,
    metrics: Metrics,
}

#[derive(Debug)]
struct Budgets {
    retries: Budget,
    refusals: Budget,
}

impl Dispatcher {
    /// A dispatcher over a table that discovery fills.
    ///
    /// # Errors
    /// Its metrics are registered already.
    pub fn new(
        config: Config,
        table: SharedTable,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let now = now();
        Ok(Self {
            table,
            pool: Arc::new(Pool::new(config.link.clone())),
            budgets: Mutex::new(Budgets {
                retries: Budget::new(config.retries, now),
                refusals: Budget::new(config.refusals, now),
            }),
            slots: Arc::new(Semaphore::new(config.max_segments_in_flight)),
            freed: Notify::new(),
            metrics: Metrics::register(registry)?,
            config,
        })
    }

    /// Connections to the nodes, so that probes use (and warm) the same ones.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Takes a segment on. The receiver yields exactly one [`Outcome`] for each rendition, by
    /// the deadline, and then ends; dropping it cancels what is still in flight.
    ///
    /// Must be called within a Tokio runtime.
    pub fn submit(self: &Arc<Self>, order: Order) -> mpsc::Receiver<Outcome> {
        let (tx, rx) = mpsc::channel(order.spec.renditions.len().max(1));
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => {
                let dispatcher = Arc::clone(self);
                tokio::spawn(async move {
                    dispatcher.metrics.in_flight.inc();
                    order::run(&dispatcher, order, tx).await;
                    dispatcher.metrics.in_flight.dec();
                    drop(slot);
                });
            }
            Err(_) => order::refuse(self, &order, tx),
        }
        rx
    }

    /// A segment begins: it pays into the budgets.
    fn begin(&self, now: Instant) {
        let mut budgets = self.budgets();
        budgets.retries.segment(now);
        budgets.refusals.segment(now);
    }

    /// Counts a failure that no attempt of a segment saw.
    pub(crate) fn blame(&self, node: &NodeId, kind: FailureKind) {
        let mut table = self.table();
        let change = table.blame(node, kind, now(), &mut rand::rng());
        drop(table);
        flight::log_change(node, change, kind.as_str());
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budgets(&self) -> MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's load as the table takes it.
pub(crate) fn load(load: &rackcast_segment::wire::load::Load) -> rackcast_route::Load {
    rackcast_route::Load {
        slots: load.slots,
        jobs: load.busy.saturating_add(load.queued),
        draining: load.draining,
    }
}

/// The clock that timers run by, so that tests can pause it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
