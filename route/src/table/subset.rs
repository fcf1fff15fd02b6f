//! This ingest's share of the fleet.
//!
//! A hundred segments a second over a thousand nodes are one sample a node in ten seconds, and
//! an estimate of that is a guess. So each ingest works with a subset: the nodes that come
//! first in an order of its own, by weighted rendezvous hashing (Thaler and Ravishankar 1998;
//! the weighted form -w/ln(h) is Schindelhauer and Schomaker's, "Weighted distributed hash
//! tables", 2005). Every ingest's order is another one, nodes stand in it in proportion to
//! their capacity, and a node's coming or going moves no other node. The subset is a prefix of
//! that order, so it grows and shrinks at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::slab::NodeRef;
use crate::bounds;

/// How large this ingest's share of the fleet is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The least number of nodes, where there are as many.
    pub least: usize,
    /// The subset grows while this ingest's work takes more than this part of its capacity.
    pub grow_above: f64,
    /// It also grows while all work, others' included, takes more than this part.
    pub crowded: f64,
    /// It shrinks when the work takes less than this part for `shrink_after`.
    pub shrink_below: f64,
    /// See `shrink_below`.
    #[serde(with = "humantime_serde")]
    pub shrink_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            least: 24,
            grow_above: 0.3,
            crowded: 0.75,
            shrink_below: 0.12,
            shrink_after: Duration::from_secs(60),
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.least == 0 {
            return Err("least must be at least 1".to_owned());
        }
        if !(self.shrink_below >= 0.0
            && self.shrink_below < self.grow_above
            && self.grow_above <= 1.0)
        {
            return Err("shrink_below must be below grow_above, and both from 0 to 1".to_owned());
        }
        if !(0.0..=1.0).contains(&self.crowded) {
            return Err("crowded must be from 0 to 1".to_owned());
        }
        bounds::times([("shrink_after", self.shrink_after)])
    }
}

/// The subset takes in so many more of its nodes at a time.
const STEP: f64 = 0.25;
/// No zone has more of the subset's base than this, where another one has nodes.
const LARGEST_ZONE: f64 = 0.75;

/// A number that anyone computes alike from these names, for all versions of this program:
/// FNV-1a, then the finaliser of SplitMix64, since FNV alone mixes its high bits badly.
pub(super) fn hash(identity: &str, id: &str) -> u64 {
    let bytes = identity.bytes().chain([0xff]).chain(id.bytes());
    let h = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(h)
}

pub(super) fn mix(h: u64) -> u64 {
    let h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

/// A number in (0, 1) from a hash.
pub(super) fn unit(h: u64) -> f64 {
    ((h >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A node's place in the order: the higher, the earlier.
pub(super) fn rank(hash: u64, weight: f64) -> f64 {
    -weight.max(f64::MIN_POSITIVE) / unit(hash).ln()
}

/// What orders a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked {
    pub(super) node: NodeRef,
    pub(super) zone: u32,
    pub(super) rank: f64,
}

/// Sorts nodes into the ingest's order, such that any prefix of at least `least` nodes has
/// nodes of two zones where there are two.
pub(super) fn order(nodes: &mut Vec<Ranked>, least: usize) {
    nodes.sort_by(|a, b| b.rank.total_cmp(&a.rank).then(a.node.cmp(&b.node)));
    let base = least.min(nodes.len());
    let mut zones: BTreeMap<u32, usize> = BTreeMap::new();
    for node in nodes.iter().take(base) {
        *zones.entry(node.zone).or_default() += 1;
    }
    let Some((&largest, &count)) = zones.iter().max_by_key(|(_, n)| **n) else {
        return;
    };
    let most = (base as f64 * LARGEST_ZONE).ceil() as usize;
    let mut missing = count.saturating_sub(most);
    // The best of other zones come in before the last of the base.
    let mut from = base;
    while missing > 0 {
        let Some(offset) = nodes
            .get(from..)
            .and_then(|rest| rest.iter().position(|n| n.zone != largest))
        else {
            break;
        };
        let node = nodes.remove(from + offset);
        nodes.insert(base - missing, node);
        missing -= 1;
        from += offset;
        from = from.max(base);
    }
}

/// How many nodes the subset has now.
#[derive(Debug, Clone)]
pub(super) struct Size {
    now: usize,
    idle_since: Option<f64>,
}

impl Size {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            now: config.least,
            idle_since: None,
        }
    }

    pub(super) fn get(&self) -> usize {
        self.now
    }

    /// Follows this ingest's need: `ours` is the part of the subset's capacity that its work
    /// takes, `used` the part that all work takes. True if the size changed.
    pub(super) fn follow(
        &mut self,
        ours: f64,
        used: f64,
        all: usize,
        t: f64,
        config: &Config,
    ) -> bool {
        let before = self.now;
        let least = config.least;
        self.now = self.now.max(least);
        if (ours > config.grow_above || used > config.crowded) && self.now < all {
            let more = (self.now as f64 * STEP).ceil() as usize;
            self.now = self.now.saturating_add(more.max(1)).min(all);
            self.idle_since = None;
        } else if ours < config.shrink_below && self.now > least {
            let since = *self.idle_since.get_or_insert(t);
            if t - since >= config.shrink_after.as_secs_f64() {
                let kept = (self.now as f64 / (1.0 + STEP)) as usize;
                self.now = kept.max(least);
                self.idle_since = Some(t);
            }
        } else {
            self.idle_since = None;
        }
        self.now != before
    }
}

#[cfg(test)]
#[path = "subset_tests.rs"]
mod tests;
