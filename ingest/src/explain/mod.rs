//! Why each segment went where it went, for a while.
//!
//! An operator who asks "why did this stream leave that node at that segment?" asks minutes
//! later, from another machine. Metrics have forgotten the segment by then, and a log line has
//! not the nodes that were *not* chosen. So every plan leaves its [`Trail`](rackcast_route::plan::Trail)
//! here when its segment is over, together with what only the transport knows ([`Remark`]), and
//! the admin address answers from that ([`api`]).
//!
//! It must never cost a segment anything: a record is moved in, under a lock that is held for a
//! push and never across an await, and put into words only when somebody asks. Memory is
//! bounded four times over ([`Config`]); what goes is the oldest. A generation that is replaced
//! begins with nothing: its streams begin a new epoch too.

pub mod api;
mod config;
mod metrics;
mod nodes;
mod record;
mod store;
mod story;
mod summary;
#[cfg(test)]
mod tests;
mod words;
mod zones;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use rackcast_route::Member;
use rackcast_segment::id::StreamId;

pub use config::Config;
pub use nodes::nodes;
pub use record::{About, Record, Remark, Rung};

use metrics::Metrics;
use store::Store;
use zones::Zones;

/// What was decided for the newest segments of every stream.
#[derive(Debug)]
pub struct Trails {
    config: ArcSwap<Config>,
    store: Mutex<Store>,
    zones: Mutex<Arc<Zones>>,
    metrics: Metrics,
}

impl Trails {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// Its metrics are registered already.
    pub fn new(config: Config, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            config: ArcSwap::from_pointee(config),
            store: Mutex::default(),
            zones: Mutex::default(),
            metrics: Metrics::register(registry)?,
        })
    }

    /// Goes by other bounds: with the next segment, or the next sweep.
    pub fn reconfigure(&self, config: Config) {
        self.config.store(Arc::new(config));
    }

    /// Remembers a segment that is over: everything came, or will not come.
    pub fn record(&self, record: Record) {
        let record = Arc::new(record);
        let mut store = self.store();
        store.add(
            record,
            &self.config.load(),
            Instant::now(),
            |limit, count| {
                self.metrics.dropped(limit, count);
            },
        );
        self.metrics.holds(&store);
    }

    /// Learns in which zone each node stands, to know it still when the node has left. To be
    /// called with every change of the catalog, with all of its nodes.
    pub fn learn<'a>(&self, members: impl Iterator<Item = &'a Member> + Clone) {
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut zones).learn(members);
    }

    /// Forgets streams that have been silent for long. To be called now and then.
    pub fn sweep(&self, now: Instant) {
        let mut store = self.store();
        let count = store.sweep(&self.config.load(), now);
        self.metrics.dropped(store::Limit::Age, count);
        self.metrics.holds(&store);
    }

    /// What is remembered of a stream, in the order of its segments.
    fn of(&self, stream: &StreamId) -> Option<Vec<Arc<Record>>> {
        self.store().of(stream)
    }

    fn zones(&self) -> Arc<Zones> {
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&zones)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
