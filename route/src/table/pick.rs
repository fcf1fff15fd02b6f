//! The choice.
//!
//! Every node that comes into question is put into a tier and predicted ([`grade`](super::grade)); the
//! first tier that has a node wins, and within it the least prediction. A small subset is looked at
//! whole; of a large one the best by the tournament, the stream's home and two at random. Only a
//! segment's first submission follows and moves the stream's home ([`follow`](super::follow)), and only
//! it is spent on finding out about a node.

use std::time::Instant;

use rand::{Rng, RngExt};

use super::ask::{Alternative, Ask, Choice, Purpose};
use super::clock::duration;
use super::field::{Entry, Field, Tier};
use super::home::Home;
use super::reason::{NoNode, NoNodeReason, PickReason};
use super::slab::NodeRef;
use super::tournament::BEST;
use super::{SCAN, Table};

/// Nodes of a large subset that are looked at by chance.
const RANDOM: usize = 2;
/// A node is not worth finding out about when it is predicted so much worse than the best.
const NOT_WORTH: f64 = 1.5;

impl Table {
    /// The node that should have this job. Allocates nothing.
    ///
    /// # Errors
    /// No node may have it now; the reason says whether waiting can help.
    pub fn pick(&self, ask: &Ask<'_>, now: Instant, rng: &mut impl Rng) -> Result<Choice, NoNode> {
        let t = self.clock.seconds(now);
        if self.subset.is_empty() {
            return Err(NoNode {
                reason: NoNodeReason::NoMembers,
                retry_at: None,
            });
        }
        let mut field = Field::new(ask, ask.trials && self.trials.any(t), self.curiosity.any(t));
        let balances = ask.purpose == Purpose::First && ask.home.is_some_and(|h| !h.is_restless());
        field.balances = balances && rng.random::<f64>() < self.config.home.balance;
        if self.subset.len() <= SCAN {
            for node in &self.subset {
                self.consider(*node, ask, t, &mut field, rng);
            }
        } else {
            self.shortlist(ask, t, &mut field, rng);
            if field.best().is_none_or(|e| e.tier > Tier::Slow) {
                let balances = field.balances;
                field = Field::new(ask, field.trials, field.curiosity);
                field.balances = balances;
                for node in &self.subset {
                    self.consider(*node, ask, t, &mut field, rng);
                }
            }
        }
        self.decide(ask, &field, t)
    }

    /// Looks at a few nodes of a large subset.
    fn shortlist(&self, ask: &Ask<'_>, t: f64, field: &mut Field, rng: &mut impl Rng) {
        const MOST: usize = BEST + RANDOM + 3;
        let mut seen: [Option<NodeRef>; MOST] = [None; MOST];
        let at = |place: usize| self.subset.get(place).copied();
        let home = ask.home.map(|h| h.node());
        let second = ask.home.and_then(|h| h.second());
        let best = self.tournament.best();
        let best = best.into_iter().map(|place| place.and_then(at));
        let random =
            std::array::from_fn::<_, RANDOM, _>(|_| at(rng.random_range(0..self.subset.len())));
        let wants = !self.waiting.is_empty() && (field.trials || field.curiosity);
        let waiting = wants
            .then(|| {
                self.waiting
                    .get(rng.random_range(0..self.waiting.len()))
                    .copied()
            })
            .flatten();
        let all = [home, second].into_iter().chain(best).chain(random);
        for (slot, node) in all.chain([waiting]).enumerate() {
            let Some(node) = node else {
                continue;
            };
            let known = self.nodes.get(node).is_some_and(|n| n.place.is_some());
            if !known || seen.contains(&Some(node)) {
                continue;
            }
            if let Some(slot) = seen.get_mut(slot) {
                *slot = Some(node);
            }
            self.consider(node, ask, t, field, rng);
        }
    }

    fn decide(&self, ask: &Ask<'_>, field: &Field, t: f64) -> Result<Choice, NoNode> {
        if let Some((entry, trial)) = field.trial()
            && (trial
                || field
                    .best()
                    .is_none_or(|b| entry.total < NOT_WORTH * b.total))
        {
            let reason = if trial {
                PickReason::Trial
            } else {
                PickReason::Unmeasured
            };
            // A stream that has no home yet does not find it where one segment is spent.
            let lives = field.best().filter(|_| trial).unwrap_or(entry);
            let home = ask.home.unwrap_or(Home::new(lives.node));
            return Ok(choice(field, entry, reason, home));
        }
        let waits = |b: &&Entry| ask.patient && field.should_wait(b, ask.time_left.as_secs_f64());
        let Some(best) = field.best().filter(|b| !waits(b)) else {
            return Err(self.no_node(field));
        };
        let desperate = match best.tier {
            Tier::Out => Some(PickReason::LastResort),
            Tier::Doubted if self.panic => Some(PickReason::Panic),
            _ if field.alone() => Some(PickReason::OnlyOne),
            _ => None,
        };
        let purpose = match ask.purpose {
            Purpose::First => return Ok(self.follow_home(ask, field, best, desperate, t)),
            Purpose::Retry => PickReason::Retry,
            Purpose::Hedge => PickReason::Hedge,
            Purpose::SecondOpinion { .. } => PickReason::SecondOpinion,
            Purpose::Copy { .. } => PickReason::Copy,
        };
        let home = ask.home.unwrap_or(Home::new(best.node));
        Ok(choice(field, best, desperate.unwrap_or(purpose), home))
    }

    fn no_node(&self, field: &Field) -> NoNode {
        let reason = match () {
            () if field.none_free => NoNodeReason::NoneFree,
            () if field.blocked => NoNodeReason::AllBusy,
            () if field.full => NoNodeReason::AllFull,
            () if field.ejected => NoNodeReason::AllEjected,
            () => NoNodeReason::AllTried,
        };
        NoNode {
            reason,
            retry_at: field.retry_at.and_then(|t| self.clock.instant(t)),
        }
    }
}

/// A choice, with the others that came next.
pub(super) fn choice(field: &Field, chosen: &Entry, reason: PickReason, home: Home) -> Choice {
    let mut alternatives = [None; 3];
    let others = field.entries().filter(|e| e.node != chosen.node);
    for (slot, other) in alternatives.iter_mut().zip(others) {
        *slot = Some(Alternative {
            node: other.node,
            predicted: duration(other.total),
        });
    }
    Choice {
        node: chosen.node,
        reason,
        predicted: duration(chosen.total),
        alternatives,
        home,
    }
}
