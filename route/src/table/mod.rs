//! Who gets the next segment.
//!
//! The inside is being built; the signatures are those to build on.

mod ask;
mod config;
mod home;
mod reason;
mod slab;
mod view;

use std::time::{Duration, Instant};

use rand::Rng;

pub use ask::{Alternative, Ask, Change, Choice, Outcome, Purpose, Ticket, Timing};
pub use config::Config;
pub use home::Home;
pub use reason::{FailureKind, Left, NoNode, NoNodeReason, PickReason};
pub use slab::NodeRef;
pub use view::{Capacity, NodeView, Standing, ZoneView};

use crate::member::{Load, Member, NodeId};

/// All nodes of the catalog, as this ingest has measured them.
#[derive(Debug)]
pub struct Table {
    config: Config,
    nodes: Vec<Simple>,
    lives: u32,
}

#[derive(Debug)]
struct Simple {
    member: Member,
    life: u32,
    in_flight: u32,
    rate: f64,
}

impl Table {
    /// An empty table. `identity` names this ingest: its share of a large fleet follows from it.
    pub fn new(config: Config, _identity: &str) -> Self {
        Self {
            config,
            nodes: Vec::new(),
            lives: 0,
        }
    }

    /// Takes over what the catalog says now. What was measured of a node that stays is kept;
    /// a node that listens elsewhere than before is a new one.
    pub fn update_members(&mut self, members: impl IntoIterator<Item = Member>, _now: Instant) {
        self.nodes.clear();
        for member in members {
            self.lives += 1;
            self.nodes.push(Simple {
                rate: self.config.prior_pixel_rate,
                member,
                life: self.lives,
                in_flight: 0,
            });
        }
    }

    fn reference(&self, i: usize) -> NodeRef {
        NodeRef {
            index: u32::try_from(i).unwrap_or(u32::MAX),
            life: self.nodes.get(i).map_or(0, |n| n.life),
        }
    }

    fn get(&self, node: NodeRef) -> Option<&Simple> {
        let found = self.nodes.get(usize::try_from(node.index).ok()?)?;
        (found.life == node.life).then_some(found)
    }

    fn get_mut(&mut self, node: NodeRef) -> Option<&mut Simple> {
        let found = self.nodes.get_mut(usize::try_from(node.index).ok()?)?;
        (found.life == node.life).then_some(found)
    }

    /// The node that should have this job. Allocates nothing.
    ///
    /// # Errors
    /// No node may have it now; the reason says whether waiting can help.
    pub fn pick(
        &self,
        ask: &Ask<'_>,
        _now: Instant,
        _rng: &mut impl Rng,
    ) -> Result<Choice, NoNode> {
        let candidates = (0..self.nodes.len()).map(|i| self.reference(i));
        let best = candidates
            .filter(|n| !ask.tried.contains(n))
            .min_by_key(|n| self.get(*n).map(|n| n.in_flight));
        let node = best.ok_or(NoNode {
            reason: NoNodeReason::AllTried,
            retry_at: None,
        })?;
        let rate = self.get(node).map_or(1.0, |n| n.rate);
        Ok(Choice {
            node,
            reason: PickReason::FirstPick,
            predicted: Duration::from_secs_f64(ask.work as f64 / rate),
            alternatives: [None; 3],
            home: ask.home.unwrap_or(Home { node }),
        })
    }

    /// A job of `work` pixels is about to be sent to `node`; `predicted` as the
    /// [`Choice`] said.
    pub fn start(&mut self, node: NodeRef, work: u64, predicted: Duration, now: Instant) -> Ticket {
        if let Some(n) = self.get_mut(node) {
            n.in_flight += 1;
        }
        Ticket {
            node,
            flight: 0,
            work,
            sent: now,
            predicted,
        }
    }

    /// A job came to its end. What that changed in the node's standing, if anything.
    pub fn finish(
        &mut self,
        ticket: Ticket,
        _outcome: Outcome,
        _now: Instant,
        _rng: &mut impl Rng,
    ) -> Option<Change> {
        let Ticket { node, .. } = ticket;
        let n = self.get_mut(node)?;
        n.in_flight = n.in_flight.saturating_sub(1);
        None
    }

    /// Counts a failure that came to light only after the job was finished, or without one.
    pub fn blame(
        &mut self,
        _node: NodeRef,
        _kind: FailureKind,
        _now: Instant,
        _rng: &mut impl Rng,
    ) -> Option<Change> {
        None
    }

    /// A second node could transcode what this one [claimed](Outcome::Claimed) could not be.
    pub fn contradicted(
        &mut self,
        _node: NodeRef,
        _now: Instant,
        _rng: &mut impl Rng,
    ) -> Option<Change> {
        None
    }

    /// A second node agrees with what this one [claimed](Outcome::Claimed).
    pub fn confirmed(&mut self, _node: NodeRef, _now: Instant) {}

    /// The nodes that should be asked for their load now; each is named at most once a second.
    pub fn to_probe(&mut self, _now: Instant) -> impl Iterator<Item = (NodeRef, &Member)> {
        std::iter::empty()
    }

    /// A probe of the node's load was answered after `round_trip`.
    pub fn probed(&mut self, _node: NodeRef, _round_trip: Duration, _load: Load, _now: Instant) {}

    /// A probe got no answer. Only a refused connection counts as the node's failure.
    pub fn probe_failed(
        &mut self,
        _node: NodeRef,
        _kind: FailureKind,
        _now: Instant,
        _rng: &mut impl Rng,
    ) -> Option<Change> {
        None
    }

    /// What the catalog says of a node; `None` once it has left.
    pub fn member(&self, node: NodeRef) -> Option<&Member> {
        self.get(node).map(|n| &n.member)
    }

    /// The node with this ID.
    pub fn find(&self, id: &NodeId) -> Option<NodeRef> {
        let at = self.nodes.iter().position(|n| n.member.id == *id)?;
        Some(self.reference(at))
    }

    /// How many nodes the catalog has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the catalog has none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Every node and what is known of it, by ID.
    pub fn nodes(&self, _now: Instant) -> impl Iterator<Item = NodeView<'_>> {
        std::iter::empty()
    }

    /// Every zone and what is known of it, by name.
    pub fn zones(&self, _now: Instant) -> impl Iterator<Item = ZoneView<'_>> {
        std::iter::empty()
    }

    /// What this ingest may count on now.
    pub fn capacity(&self, _now: Instant) -> Capacity {
        let slots: u32 = self.nodes.iter().map(|n| n.member.slots.max(1)).sum();
        let busy: u32 = self.nodes.iter().map(|n| n.in_flight).sum();
        Capacity {
            slots,
            free: slots.saturating_sub(busy),
            pixel_rate: self.nodes.iter().map(|n| n.rate).sum(),
        }
    }
}
