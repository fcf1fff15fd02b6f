//! What is true: the nodes, the way there, and what befalls them.

mod condition;
mod episode;
mod node;
mod truth;

use std::time::Duration;

use crate::noise::{For, Noise};
use crate::scenario::{Network, Scenario};
use crate::time::{Time, secs};
pub(crate) use condition::Condition;
pub(crate) use episode::{Episode, episodes};
pub(crate) use node::{Job, Load, Node, Spec};
pub(crate) use truth::Question;

/// Bits of a TCP segment's payload.
const MSS_BITS: f64 = 1460.0 * 8.0;
/// Output bits of one pixel.
const BITS_PER_PIXEL: f64 = 0.07;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) noise: Noise,
    pub(crate) nodes: Vec<Node>,
    pub(crate) zones: Vec<String>,
    pub(crate) network: Network,
    /// Nodes, the fastest slots first: whom an oracle looks at first.
    by_speed: Vec<u32>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, noise: Noise) -> Self {
        let mut zones: Vec<String> = Vec::new();
        let groups = scenario.nodes.iter().map(|n| &n.zone);
        for zone in groups.chain(scenario.ingests.iter().map(|i| &i.zone)) {
            if !zones.contains(zone) {
                zones.push(zone.clone());
            }
        }
        let mut nodes = Vec::new();
        for group in &scenario.nodes {
            let zone = zones.iter().position(|z| *z == group.zone).unwrap_or(0);
            for _ in 0..group.count {
                let i = nodes.len() as u64;
                let slot_rate =
                    group.slot_rate * noise.around_one(group.spread, For::Calibration, i, 0);
                let error = noise.around_one(group.calibration, For::Calibration, i, 1);
                nodes.push(Node::new(Spec {
                    name: format!("{}{:04}", group.name, i),
                    zone,
                    slots: group.slots as usize,
                    slot_rate,
                    claimed_rate: slot_rate * f64::from(group.slots) * error,
                    noise: group.noise,
                    contention: group.contention,
                }));
            }
        }
        let mut by_speed: Vec<u32> = (0..).take(nodes.len()).collect();
        by_speed.sort_by(|a, b| {
            let rate = |i: &u32| nodes[*i as usize].spec.slot_rate;
            rate(b).total_cmp(&rate(a))
        });
        Self {
            noise,
            nodes,
            zones,
            network: scenario.network.clone(),
            by_speed,
        }
    }

    pub(crate) fn node(&self, i: u32) -> &Node {
        &self.nodes[i as usize]
    }

    pub(crate) fn node_mut(&mut self, i: u32) -> &mut Node {
        &mut self.nodes[i as usize]
    }

    /// How long a job takes on a node with so many slots busy, itself included, if nothing
    /// varied.
    pub(crate) fn mean_service(&self, node: u32, work: u64, busy: usize) -> Duration {
        self.mean_service_if(&self.node(node).condition, node, work, busy)
    }

    /// The same, if this is what is the matter with the node.
    pub(crate) fn mean_service_if(
        &self,
        condition: &Condition,
        node: u32,
        work: u64,
        busy: usize,
    ) -> Duration {
        let spec = &self.node(node).spec;
        let crowd = match spec.slots {
            0 | 1 => 0.0,
            slots => (busy.saturating_sub(1)) as f64 / (slots - 1) as f64,
        };
        let alone = work as f64 / spec.slot_rate;
        secs(alone * (1.0 + spec.contention * crowd) * condition.factor) + condition.add
    }

    /// The same as it comes out for this segment (`content` is its own difficulty).
    pub(crate) fn service(
        &self,
        condition: &Condition,
        node: u32,
        work: u64,
        content: f64,
        segment: u64,
    ) -> Duration {
        let busy = self.node(node).running.len() + 1;
        let mean = self.mean_service_if(condition, node, work, busy);
        let add = condition.add;
        let spec = &self.node(node).spec;
        let noise = self
            .noise
            .around_one(spec.noise, For::Service, segment, u64::from(node));
        secs((mean - add).as_secs_f64() * content * noise) + add
    }

    /// Round trip between a zone and a node when nothing varies.
    pub(crate) fn mean_round_trip(&self, zone: usize, node: u32) -> Duration {
        let node = self.node(node);
        let base = match node.spec.zone == zone {
            true => self.network.near,
            false => self.network.far,
        };
        base + node.condition.lag
    }

    /// One way, without payload.
    pub(crate) fn one_way(&self, zone: usize, node: u32, what: For, key: u64) -> Duration {
        let half = self.mean_round_trip(zone, node).as_secs_f64() / 2.0;
        let jitter = self
            .noise
            .around_one(self.network.jitter, what, key, u64::from(node));
        secs(half * jitter)
    }

    /// What the bytes add to that.
    pub(crate) fn transfer(&self, zone: usize, node: u32, bits: f64) -> Duration {
        let loss = self.node(node).condition.loss;
        let mut bandwidth = self.network.bandwidth;
        if loss > 0.0 {
            // Mathis, Semke, Mahdavi and Ott, 1997.
            let rtt = self.mean_round_trip(zone, node).as_secs_f64().max(1e-4);
            bandwidth = bandwidth.min(MSS_BITS / rtt * 1.22 / loss.sqrt());
        }
        secs(bits / bandwidth)
    }
}

/// Bits of a rendition of so many pixels.
pub(crate) fn rendition_bits(work: u64) -> f64 {
    work as f64 * BITS_PER_PIXEL
}

/// A job's place among the renditions' ends: the top rung is last and ends with the job.
pub(crate) fn share_done(position: usize, renditions: usize) -> f64 {
    /// The encoders of one job run side by side and end close together.
    const SPREAD: f64 = 0.2;
    1.0 - SPREAD * position as f64 / renditions.max(1) as f64
}

impl Time {
    /// A share of the way from here to there.
    pub(crate) fn toward(self, length: Duration, share: f64) -> Self {
        self + length.mul_f64(share)
    }
}
