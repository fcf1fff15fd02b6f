//! Gets one segment transcoded before its deadline, whatever the nodes do.
//!
//! What to do is decided in [`rackcast_route`]: a [`Plan`] for each segment over the one
//! [`Router`] of this ingest, pure, the same code that the simulator drives. This is the thin
//! shell around it. A task per segment ([`run`]) feeds its plan with what happens and carries
//! out what it says: it sends the segment over a pooled HTTP/2 connection ([`link`]), verifies
//! every rendition as it arrives ([`attempt`]), hands it out at once, and resets what is no
//! longer wanted, which frees the node's slot.
//!
//! What bounds it: segments in flight (all together here, per node in the table), attempts per
//! segment, the budgets for retries and for push-back, a limit on every length, and the
//! deadline, at which what is out is cancelled and what is missing becomes a gap. The
//! publisher is never blocked: [`Lane::submit`] returns at once.
//!
//! The router's lock is held for one step of one plan and never across an await.

mod answer;
mod answers;
mod assembler;
mod attempt;
mod config;
mod gauges;
mod lane;
pub mod link;
mod metrics;
mod note;
mod precious;
mod record;
mod run;
mod security;
mod trial;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rackcast_route::plan::GiveUp;
use rackcast_route::table::{FailureKind, NodeRef};
use rackcast_route::{Endpoint, Load, Member, Router, RouterConfig};
use rackcast_segment::id::{Epoch, RenditionName, Sequence, StreamId, StreamToken};
use rackcast_segment::rate::EncoderName;
use rackcast_segment::wire;
use rackcast_segment::wire::job::JobSpec;
use tokio::sync::{Notify, Semaphore};

pub use config::{Config, LinkConfig};
pub use lane::Lane;
pub use precious::PreciousConfig;
pub use security::{Insecure, Security};
pub use trial::TrialError;

use gauges::Gauges;
use link::Pool;
use metrics::Metrics;

use crate::explain::Trails;

/// One segment to be transcoded.
#[derive(Debug, Clone)]
pub struct Order {
    /// What nodes call the stream.
    pub token: StreamToken,
    /// In which life of the stream.
    pub epoch: Epoch,
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
        /// What it took.
        made: Made,
    },
    /// It will not come.
    Missing {
        /// Which.
        rendition: RenditionName,
        /// Why not.
        reason: GiveUp,
    },
}

/// What a rendition took, for its [account](rackcast_segment::rate).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// Bits of video, as they were counted here.
    pub bits: u64,
    /// The encoder, as the node calls it, if it was told a quality.
    pub encoder: Option<EncoderName>,
}

/// Sends segments to nodes. One for an ingest: what one stream learns, all know.
#[derive(Debug)]
pub struct Dispatcher {
    config: ArcSwap<Config>,
    router: Mutex<Router>,
    pool: Arc<Pool>,
    security: Arc<Security>,
    slots: Arc<Semaphore>,
    /// A node has become free: whoever waits for one looks again.
    freed: Notify,
    metrics: Metrics,
    gauges: Gauges,
    trails: Arc<Trails>,
}

impl Dispatcher {
    /// A dispatcher over a router that discovery tells of the nodes.
    ///
    /// # Errors
    /// Its metrics are registered already.
    pub fn new(
        config: Config,
        router: Router,
        trails: Arc<Trails>,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let security = Arc::new(Security::none());
        Ok(Self {
            router: Mutex::new(router),
            pool: Arc::new(Pool::new(config.link.clone(), Arc::clone(&security))),
            security,
            slots: Arc::new(Semaphore::new(config.max_segments_in_flight)),
            freed: Notify::new(),
            metrics: Metrics::register(registry)?,
            gauges: Gauges::register(registry)?,
            trails,
            config: ArcSwap::from_pointee(config),
        })
    }

    /// Goes by another policy and other bounds. Of `[dispatch]` itself the connections and the
    /// number of segments in flight stay what they were.
    pub fn reconfigure(&self, config: Config, router: RouterConfig) {
        self.config.store(Arc::new(config));
        self.router().reconfigure(router, now());
        self.freed.notify_waiters();
    }

    /// The same, with connections that are secured so; until then they are cleartext.
    #[must_use]
    pub fn secured(mut self, security: Security) -> Self {
        self.security = Arc::new(security);
        let (config, security) = (self.config.load().link.clone(), Arc::clone(&self.security));
        self.pool = Arc::new(Pool::new(config, security));
        self
    }

    /// How connections to the nodes are secured.
    pub(crate) fn security(&self) -> &Security {
        &self.security
    }

    /// Connections to the nodes, so that probes use (and warm) the same ones.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A stream begins: its way to the nodes, until it is dropped.
    pub fn open(self: &Arc<Self>, stream: StreamId) -> Lane {
        Lane::open(Arc::clone(self), stream)
    }

    /// Takes over what the catalog says now. Requests to nodes that are gone may finish.
    pub fn update_members(&self, members: &[Member]) {
        let mut router = self.router();
        let table = router.table_mut();
        table.update_members(members.iter().cloned(), now());
        drop(router);
        self.trails.learn(members.iter());
        let kept: BTreeSet<_> = members.iter().map(|m| &m.endpoint).collect();
        self.pool.retain(|endpoint| kept.contains(endpoint));
        self.freed.notify_waiters();
    }

    /// The nodes that should be asked for their load now.
    pub(crate) fn to_probe(&self) -> Vec<(NodeRef, Endpoint)> {
        let mut router = self.router();
        let silent = router.table_mut().to_probe(now());
        silent.map(|(node, m)| (node, m.endpoint.clone())).collect()
    }

    /// A node told its load, `round_trip` after it was asked.
    pub(crate) fn probed(&self, node: NodeRef, round_trip: Duration, load: &wire::load::Load) {
        let load = self::load(load);
        let mut router = self.router();
        router.table_mut().probed(node, round_trip, load, now());
        drop(router);
        self.freed.notify_waiters();
    }

    /// A node did not tell its load.
    pub(crate) fn probe_failed(&self, node: NodeRef, kind: FailureKind) {
        let mut router = self.router();
        let table = router.table_mut();
        let change = table.probe_failed(node, kind, now(), &mut rand::rng());
        let id = change.and_then(|_| Some(table.member(node)?.id.clone()));
        drop(router);
        if let (Some(change), Some(id)) = (change, id) {
            note::standing(&id, change);
            self.metrics.standing(change);
        }
    }

    /// Brings the gauges up to date, and tells which zones were left or came back. To be called
    /// about once a second.
    pub fn measure(&self) {
        let mut router = self.router();
        self.gauges.measure(&mut router, now());
        let changes = router.table_mut().take_zone_changes();
        drop(router);
        for change in &changes {
            note::zone(change);
            self.metrics.zone(change);
        }
    }

    /// All that this ingest knows of its nodes and may spend. Hold it for a moment only: every
    /// segment needs it.
    pub fn router(&self) -> MutexGuard<'_, Router> {
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's load as the table takes it.
fn load(load: &wire::load::Load) -> Load {
    Load {
        slots: load.slots,
        jobs: load.busy.saturating_add(load.queued),
        draining: load.draining,
    }
}

/// The clock that timers run by, so that tests can pause it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
