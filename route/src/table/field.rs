//! The nodes that come into question for one job, the best few of them in order.

use rand::{Rng, RngExt};

use super::ask::Ask;
use super::reason::{FailureKind, Left};
use super::slab::NodeRef;

/// Candidates in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    Good,
    /// Good, but new or returning, or in a zone that is not wanted.
    Gated,
    /// A job there takes longer than most do.
    Suspect,
    /// A job there is late, or the last one was slow.
    Slow,
    /// It failed a moment ago.
    Doubted,
    /// Ejected, or its zone is left.
    Out,
}

/// Why a node cannot have this job at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Barred {
    Tried,
    Ejected(FailureKind, f64),
    Blocked(f64),
    Draining,
    Full,
}

/// A node that comes into question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) node: NodeRef,
    pub(super) tier: Tier,
    /// Why it is not good.
    pub(super) why: Option<Left>,
    /// Predicted, in seconds.
    pub(super) total: f64,
    /// Predicted, with what comes of it beyond this one segment: for the stream, and for those that live there.
    pub(super) score: f64,
    /// The score with the chance that tells equals apart.
    pub(super) drawn: f64,
    pub(super) waits: bool,
    /// Nothing is against it but that what it has is late.
    pub(super) unproven: bool,
    /// Good nodes that have no room now are better, and are waited for while there is more time
    /// left than this, in seconds. Infinite if it is as good as they are.
    pub(super) waits_until: f64,
}

/// How many are kept: the chosen one and its alternatives.
const KEPT: usize = 4;

/// What a pick has seen.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) home: Option<NodeRef>,
    second: Option<NodeRef>,
    pub(super) trials: bool,
    pub(super) curiosity: bool,
    /// The stream may move for the load's sake.
    pub(super) balances: bool,
    least_used: Option<(Entry, f64)>,
    kept: [Option<Entry>; KEPT],
    home_entry: Option<Entry>,
    second_entry: Option<Entry>,
    trial: Option<(Entry, bool)>,
    offers: u32,
    count: u32,
    pub(super) home_barred: Option<Left>,
    /// Nodes that only have no room now.
    pub(super) full: bool,
    /// Nodes that asked to be left alone, or drain.
    pub(super) blocked: bool,
    good_waits: bool,
    pub(super) ejected: bool,
    pub(super) none_free: bool,
    pub(super) retry_at: Option<f64>,
}

impl Field {
    pub(super) fn new(ask: &Ask<'_>, trials: bool, curiosity: bool) -> Self {
        Self {
            home: ask.home.map(|h| h.node()),
            second: ask.home.and_then(|h| h.second()),
            trials,
            curiosity,
            balances: false,
            least_used: None,
            kept: [None; KEPT],
            home_entry: None,
            second_entry: None,
            trial: None,
            offers: 0,
            count: 0,
            home_barred: None,
            full: false,
            blocked: false,
            good_waits: false,
            ejected: false,
            none_free: false,
            retry_at: None,
        }
    }

    /// A node that cannot have the job.
    pub(super) fn bar(&mut self, node: NodeRef, tier: Tier, barred: Barred) {
        let left = match barred {
            Barred::Tried => Left::Tried,
            Barred::Ejected(kind, until) => {
                self.ejected = true;
                self.wait_until(until);
                Left::Ejected(kind)
            }
            Barred::Blocked(until) => {
                self.blocked = true;
                self.good_waits |= tier < Tier::Doubted;
                self.wait_until(until);
                Left::Blocked
            }
            Barred::Draining => {
                self.blocked = true;
                Left::Draining
            }
            Barred::Full => {
                self.full = true;
                self.good_waits |= tier < Tier::Doubted;
                Left::Full
            }
        };
        if self.home == Some(node) {
            self.home_barred = Some(left);
        }
    }

    fn wait_until(&mut self, t: f64) {
        self.retry_at = Some(self.retry_at.map_or(t, |at| at.min(t)));
    }

    /// A node that comes into question.
    pub(super) fn add(&mut self, entry: Entry) {
        self.count += 1;
        if self.home == Some(entry.node) {
            self.home_entry = Some(entry);
        }
        if self.second == Some(entry.node) {
            self.second_entry = Some(entry);
        }
        let mut entry = entry;
        for slot in &mut self.kept {
            match slot {
                None => {
                    *slot = Some(entry);
                    return;
                }
                Some(other) => {
                    let before = entry.tier < other.tier
                        || (entry.tier == other.tier && entry.drawn < other.drawn);
                    if before {
                        std::mem::swap(other, &mut entry);
                    }
                }
            }
        }
    }

    /// A node that this segment may be spent on. One on trial goes before one that is merely
    /// unknown; among equals each has the same chance.
    pub(super) fn offer_trial(&mut self, entry: Entry, trial: bool, rng: &mut impl Rng) {
        match self.trial {
            Some((_, true)) if !trial => return,
            Some((_, before)) if before == trial => {
                self.offers += 1;
                if rng.random_range(0..self.offers) != 0 {
                    return;
                }
            }
            _ => self.offers = 1,
        }
        self.trial = Some((entry, trial));
    }

    /// A good node, and the part of it that is used.
    pub(super) fn offer_balance(&mut self, entry: Entry, used: f64) {
        if self.home != Some(entry.node)
            && self
                .least_used
                .as_ref()
                .is_none_or(|(_, least)| used < *least)
        {
            self.least_used = Some((entry, used));
        }
    }

    /// The good node that is used least, and how much.
    pub(super) fn balance(&self) -> Option<(&Entry, f64)> {
        self.least_used.as_ref().map(|(e, used)| (e, *used))
    }

    /// The node that this segment is spent on, and whether it is on trial.
    pub(super) fn trial(&self) -> Option<(&Entry, bool)> {
        self.trial.as_ref().map(|(e, trial)| (e, *trial))
    }

    pub(super) fn best(&self) -> Option<&Entry> {
        self.kept.first().and_then(Option::as_ref)
    }

    /// The best one that is not `node`.
    pub(super) fn best_but(&self, node: NodeRef) -> Option<&Entry> {
        self.entries().find(|e| e.node != node)
    }

    /// The best few, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.kept.iter().flatten()
    }

    /// What was seen of the home, or of its second node.
    pub(super) fn entry(&self, node: NodeRef) -> Option<&Entry> {
        let known = [self.home_entry.as_ref(), self.second_entry.as_ref()];
        known.into_iter().flatten().find(|e| e.node == node)
    }

    /// Only one node came into question.
    pub(super) fn alone(&self) -> bool {
        self.count == 1
    }

    /// A good node that has no room now is better than this one that has.
    pub(super) fn should_wait(&self, entry: &Entry, time_left: f64) -> bool {
        self.good_waits && time_left > entry.waits_until
    }
}
