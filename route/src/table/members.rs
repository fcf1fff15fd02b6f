//! Taking over what the catalog says.

use std::collections::BTreeMap;
use std::time::Instant;

use super::subset::{self, Ranked};
use super::zone::Zone;
use super::{Node, Table};
use crate::member::{Member, NodeId};

/// No node weighs more or less than this many times the median in the order of nodes.
const WEIGHT_SPAN: f64 = 8.0;

impl Table {
    /// Takes over what the catalog says now. What was measured of a node that stays is kept;
    /// a node that listens elsewhere than before is a new one.
    pub fn update_members(&mut self, members: impl IntoIterator<Item = Member>, now: Instant) {
        self.clock.start(now);
        let t = self.clock.seconds(now);
        let members: BTreeMap<NodeId, Member> =
            members.into_iter().map(|m| (m.id.clone(), m)).collect();
        self.rename_zones(&members);
        let nodes = &mut self.nodes;
        self.by_id.retain(|id, node| {
            let stays = members.get(id).is_some_and(|m| {
                nodes
                    .get(*node)
                    .is_some_and(|n| n.member.endpoint == m.endpoint)
            });
            if !stays {
                nodes.remove(*node);
            }
            stays
        });
        for (id, member) in members {
            let zone = self.zone_index(&member.zone);
            match self.by_id.get(&id).and_then(|n| self.nodes.get_mut(*n)) {
                Some(node) => {
                    node.member = member;
                    node.zone = zone;
                }
                None => {
                    let prior = self.prior(&member);
                    let node = Node::new(member, zone, prior, t, &self.config.eject);
                    let node = self.nodes.insert(node);
                    self.by_id.insert(id, node);
                }
            }
        }
        for zone in &mut self.zones {
            zone.trials = 0;
        }
        for node in self.nodes.iter() {
            if let Some(zone) = zone_mut(&mut self.zones, node.zone) {
                zone.trials += node.flights.trials();
            }
        }
        self.rank();
        self.resize(t);
        self.sweep(t);
    }

    /// Seconds per pixel that a node is taken to need while it is not measured.
    pub(super) fn prior(&self, member: &Member) -> f64 {
        self.fleet.prior(member, 1.0 / self.config.prior_pixel_rate)
    }

    /// Keeps the zones that still have a member, and adds those that are new.
    fn rename_zones(&mut self, members: &BTreeMap<NodeId, Member>) {
        let mut old: BTreeMap<String, Zone> = std::mem::take(&mut self.zones)
            .into_iter()
            .map(|z| (z.name.clone(), z))
            .collect();
        let names: std::collections::BTreeSet<&str> =
            members.values().map(|m| m.zone.as_str()).collect();
        for name in names {
            let zone = old.remove(name);
            let zone = zone.unwrap_or_else(|| Zone::new(name.to_owned()));
            self.zones.push(zone);
        }
    }

    fn zone_index(&self, name: &str) -> u32 {
        let at = self.zones.binary_search_by(|z| z.name.as_str().cmp(name));
        u32::try_from(at.unwrap_or_default()).unwrap_or_default()
    }

    /// Puts all nodes into this ingest's order.
    pub(super) fn rank(&mut self) {
        let capacity = |m: &Member| {
            let unknown = f64::from(m.slots.max(1)) * self.config.prior_pixel_rate;
            let rate = m.pixel_rate.filter(|r| r.is_finite() && *r >= 1.0);
            rate.unwrap_or(unknown)
        };
        let mut all: Vec<f64> = self.nodes.iter().map(|n| capacity(&n.member)).collect();
        all.sort_by(f64::total_cmp);
        let median = all.get(all.len() / 2).copied().unwrap_or(1.0);
        self.order = self
            .by_id
            .iter()
            .filter_map(|(id, node)| {
                let n = self.nodes.get(*node)?;
                let weight = capacity(&n.member).clamp(median / WEIGHT_SPAN, median * WEIGHT_SPAN);
                let hash = subset::hash(&self.identity, id.as_str());
                Some(Ranked {
                    node: *node,
                    zone: n.zone,
                    rank: subset::rank(hash, weight),
                })
            })
            .collect();
        subset::order(&mut self.order, self.config.subset.least);
    }
}

pub(super) fn zone_mut(zones: &mut [Zone], index: u32) -> Option<&mut Zone> {
    zones.get_mut(usize::try_from(index).ok()?)
}

pub(super) fn zone(zones: &[Zone], index: u32) -> Option<&Zone> {
    zones.get(usize::try_from(index).ok()?)
}
