//! What the table tells of its nodes and zones, for status pages, metrics and logs.

use std::time::{Duration, Instant};

use super::Table;
use super::clock::duration;
use super::health::Stand;
use super::members::zone;
use super::node::Node;
use super::reason::FailureKind;
use super::slab::NodeRef;
use super::zone::Stand as ZoneStand;
use crate::member::Member;

/// How a node stands with this ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was measured yet.
    Unmeasured,
    /// Its last results were good.
    Good,
    /// It came back and gets more and more; so much of its share, in percent.
    Returning(u8),
    /// A request that it has is overdue.
    Overdue,
    /// Its last request took far longer than it should.
    Slow,
    /// Its last request failed.
    Failed,
    /// It asked to be left alone until then.
    Blocked(Instant),
    /// It is left alone until then.
    Ejected(FailureKind, Instant),
    /// Its ejection is over and its next segment decides.
    Trial,
    /// Its zone as a whole is left.
    ZoneLeft,
    /// It says that it drains.
    Draining,
}

impl Standing {
    /// The standing as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unmeasured => "unmeasured",
            Self::Good => "good",
            Self::Returning(_) => "returning",
            Self::Overdue => "overdue",
            Self::Slow => "slow",
            Self::Failed => "failed",
            Self::Blocked(_) => "blocked",
            Self::Ejected(..) => "ejected",
            Self::Trial => "trial",
            Self::ZoneLeft => "zone-abandoned",
            Self::Draining => "draining",
        }
    }
}

/// What the table knows of a node.
#[derive(Debug, Clone)]
pub struct NodeView<'a> {
    /// Its handle.
    pub node: NodeRef,
    /// What the catalog says.
    pub member: &'a Member,
    /// Whether it is in this ingest's share of the fleet.
    pub in_subset: bool,
    /// How it stands.
    pub standing: Standing,
    /// Our segments in flight.
    pub in_flight: u32,
    /// Our streams that live there.
    pub streams: u32,
    /// Jobs that it said it has from others, while that is fresh.
    pub others: u32,
    /// Slots that are believed.
    pub slots: u32,
    /// Seconds that a million output pixels take on the idle node, as predicted now.
    pub seconds_per_megapixel: f64,
    /// The network's part of a segment's time.
    pub network: Duration,
    /// Failures in a row.
    pub failures: u32,
}

/// What the table knows of a zone.
#[derive(Debug, Clone)]
pub struct ZoneView<'a> {
    /// Its name; empty for nodes that name none.
    pub name: &'a str,
    /// Its nodes in this ingest's share of the fleet.
    pub nodes: u32,
    /// Of those, the ones in good standing.
    pub good: u32,
    /// Until when the zone is left as a whole.
    pub left_until: Option<Instant>,
}

/// What this ingest may count on, over its share of the fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Slots of the nodes that may be given work.
    pub slots: u32,
    /// Of those, the ones without a job.
    pub free: u32,
    /// Output pixels a second that those nodes make for this ingest: believed slots less what
    /// others take, over the measured seconds per pixel.
    pub pixel_rate: f64,
}

/// A zone was left as a whole, or came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneChange {
    /// Its name.
    pub zone: String,
    /// For how long it is left; `None` when it came back.
    pub left: Option<Duration>,
}

impl Table {
    /// Every node and what is known of it, by ID.
    pub fn nodes(&self, now: Instant) -> impl Iterator<Item = NodeView<'_>> {
        let t = self.clock.seconds(now);
        self.by_id.values().filter_map(move |reference| {
            let node = self.nodes.get(*reference)?;
            Some(NodeView {
                node: *reference,
                member: &node.member,
                in_subset: node.place.is_some(),
                standing: self.standing(node, t),
                in_flight: node.flights.len(),
                streams: node.residents.len(),
                others: node.others(t, &self.pace),
                slots: node.slots(),
                seconds_per_megapixel: node.speed(t, &self.pace) * 1e6,
                network: duration(node.network(t, &self.pace)),
                failures: node.health.failures(),
            })
        })
    }

    /// How one node stands; `None` once it has left.
    pub fn stands(&self, node: NodeRef, now: Instant) -> Option<Standing> {
        let node = self.nodes.get(node)?;
        Some(self.standing(node, self.clock.seconds(now)))
    }

    fn standing(&self, node: &Node, t: f64) -> Standing {
        let left = zone(&self.zones, node.zone).is_some_and(|z| z.stand(t) != ZoneStand::Fine);
        let share = node.health.share(t, &self.config.eject);
        match node.health.stand(t) {
            Stand::Ejected { kind, until, .. } => match self.clock.instant(until) {
                Some(until) => Standing::Ejected(kind, until),
                None => Standing::Trial,
            },
            _ if left => Standing::ZoneLeft,
            Stand::OnTrial(_) => Standing::Trial,
            Stand::Doubted(FailureKind::Slow) => Standing::Slow,
            Stand::Doubted(_) => Standing::Failed,
            Stand::Fine => {
                let blocked = node.blocked_until(t).and_then(|t| self.clock.instant(t));
                match blocked {
                    Some(until) => Standing::Blocked(until),
                    None if node.is_draining(t, &self.pace) => Standing::Draining,
                    None if node.flights.is_late(t) => Standing::Overdue,
                    None if !node.measured => Standing::Unmeasured,
                    None if share < 1.0 => Standing::Returning((share * 100.0) as u8),
                    None => Standing::Good,
                }
            }
        }
    }

    /// The network's part of a segment's time there, as predicted now; none for who has left.
    pub fn network(&self, node: NodeRef, now: Instant) -> Duration {
        let t = self.clock.seconds(now);
        let node = self.nodes.get(node);
        node.map_or(Duration::ZERO, |n| duration(n.network(t, &self.pace)))
    }

    /// A job there takes longer than most do. Whatever else is there will probably take as
    /// long: its hedge need not wait until it is late itself.
    pub fn is_suspect(&self, node: NodeRef, now: Instant) -> bool {
        let t = self.clock.seconds(now);
        self.nodes.get(node).is_some_and(|n| n.is_suspect(t))
    }

    /// When the node will be late, should nothing come back from it before: each of what it has
    /// will then probably take too long. `None` if it has nothing, or has left.
    pub fn late_from(&self, node: NodeRef) -> Option<Instant> {
        let at = self.nodes.get(node)?.flights.late_at();
        self.clock.instant(Some(at).filter(|at| at.is_finite())?)
    }

    /// Every zone and what is known of it, by name.
    pub fn zones(&self, now: Instant) -> impl Iterator<Item = ZoneView<'_>> {
        let t = self.clock.seconds(now);
        self.zones.iter().enumerate().map(move |(i, zone)| {
            let members = self.subset.iter().filter_map(|n| self.nodes.get(*n));
            let members = members.filter(|n| usize::try_from(n.zone) == Ok(i));
            let (nodes, good) = members.fold((0, 0), |(nodes, good), n| {
                let fine = n.health.stand(t) == Stand::Fine && !n.flights.is_late(t);
                (nodes + 1, good + u32::from(fine))
            });
            ZoneView {
                name: &zone.name,
                nodes,
                good,
                left_until: zone.left_until().and_then(|t| self.clock.instant(t)),
            }
        })
    }

    /// Zones that were left or came back since the last call; the last 64 at most.
    pub fn take_zone_changes(&mut self) -> Vec<ZoneChange> {
        std::mem::take(&mut self.zone_changes)
    }

    /// Share of the slots of this ingest's nodes that are on nodes which are well and take what is
    /// sent, when last something happened.
    pub(crate) fn ready_share(&self) -> f64 {
        self.ready
    }

    /// What this ingest may count on now.
    pub fn capacity(&self, now: Instant) -> Capacity {
        let t = self.clock.seconds(now);
        let mut capacity = Capacity {
            slots: 0,
            free: 0,
            pixel_rate: 0.0,
        };
        for node in self.subset.iter().filter_map(|n| self.nodes.get(*n)) {
            let usable = matches!(
                self.standing(node, t),
                Standing::Good
                    | Standing::Unmeasured
                    | Standing::Returning(_)
                    | Standing::Overdue
                    | Standing::Blocked(_)
            );
            if !usable {
                continue;
            }
            let slots = node.slots();
            let ours = slots.saturating_sub(node.others(t, &self.pace));
            capacity.slots += slots;
            capacity.free += node.free(t, &self.pace);
            let speed = node.speed(t, &self.pace) * (1.0 + self.pace.contention);
            capacity.pixel_rate += f64::from(ours) / speed.max(f64::MIN_POSITIVE);
        }
        capacity
    }
}
