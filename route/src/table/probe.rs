//! Asking nodes for their load while no answer tells it.

use std::time::{Duration, Instant};

use rand::Rng;

use super::Table;
use super::ask::Change;
use super::reason::FailureKind;
use super::slab::NodeRef;
use crate::member::{Load, Member};

impl Table {
    /// The nodes that should be asked for their load now. Each is named at most once in the
    /// probe interval, and not at all while its answers to segments tell its load.
    pub fn to_probe(&mut self, now: Instant) -> impl Iterator<Item = (NodeRef, &Member)> {
        let t = self.clock.seconds(now);
        self.upkeep(t);
        let interval = self.config.probe_interval.as_secs_f64();
        let (nodes, subset) = (&mut self.nodes, &self.subset);
        let mut due = Vec::new();
        for reference in subset {
            let Some(node) = nodes.get_mut(*reference) else {
                continue;
            };
            let silent = node.heard_at().is_none_or(|at| t - at >= interval);
            if silent && t - node.probed_at >= interval && node.health.wants_probe(t) {
                node.probed_at = t;
                due.push(*reference);
            }
        }
        due.into_iter()
            .filter_map(|n| Some((n, &self.nodes.get(n)?.member)))
    }

    /// A probe of the node's load was answered after `round_trip`.
    pub fn probed(&mut self, node: NodeRef, round_trip: Duration, load: Load, now: Instant) {
        let t = self.clock.seconds(now);
        if let Some(n) = self.nodes.get_mut(node) {
            n.round_trip(round_trip.as_secs_f64(), t, &self.pace, &self.surprise);
            n.said(load, t, &self.pace);
            n.health.reached(t);
        }
        self.upkeep(t);
        self.reorder(node, t);
    }

    /// A probe got no answer. Only a refused connection is the node's failure: a probe that is
    /// slow or odd says nothing, work does.
    pub fn probe_failed(
        &mut self,
        node: NodeRef,
        kind: FailureKind,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        if kind != FailureKind::Connect {
            return None;
        }
        self.blame(node, kind, now, rng)
    }
}
