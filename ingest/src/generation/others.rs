//! The other generations of this ingest, as the supervisor tells of them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus::Registry;

use crate::relay::{self, Place, Relay, Scope};
use crate::stream::Elsewhere;
use crate::supervisor::control::Peer;

/// Ways to the other generations, the newest first.
#[derive(Debug)]
pub(super) struct Others {
    config: Arc<relay::Config>,
    metrics: relay::Metrics,
    relays: Arc<ArcSwap<Vec<Relay>>>,
    /// Where they take publishers.
    doors: Elsewhere,
}

impl Others {
    /// None yet.
    ///
    /// # Errors
    /// The metrics of relays are registered already.
    pub(super) fn new(
        config: relay::Config,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            config: Arc::new(config),
            metrics: relay::Metrics::register(registry)?,
            relays: Arc::default(),
            doors: Elsewhere::default(),
        })
    }

    /// Figures of all relays of this process.
    pub(super) fn metrics(&self) -> relay::Metrics {
        self.metrics.clone()
    }

    /// The ways, as they are at any time.
    pub(super) fn relays(&self) -> Arc<ArcSwap<Vec<Relay>>> {
        Arc::clone(&self.relays)
    }

    /// Where they take publishers of their streams, as it is at any time.
    pub(super) fn doors(&self) -> Elsewhere {
        self.doors.clone()
    }

    /// These are the others now. Ways that lead where they did are kept, with their connections.
    pub(super) fn set(&self, mut peers: Vec<Peer>) {
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.generation));
        let before = self.relays.load_full();
        let way = |peer: &Peer| {
            let place = Place::Unix(peer.inside.clone());
            let known = before.iter().find(|relay| *relay.place() == place);
            known.cloned().unwrap_or_else(|| {
                let (config, metrics) = (Arc::clone(&self.config), self.metrics.clone());
                Relay::new("generation", place, Scope::Process, config, metrics)
            })
        };
        self.relays.store(Arc::new(peers.iter().map(way).collect()));
        let doors = peers.into_iter().map(|peer| peer.publish);
        self.doors.set(doors.collect());
    }
}
