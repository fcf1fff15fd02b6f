//! The choice.
//!
//! Every node that comes into question is put into a tier (good, suspect, slow, doubted, out) and
//! predicted; the first tier that has a node wins, and within it the least prediction. A small
//! subset is looked at whole; of a large one the best by the tournament, the stream's home and
//! two at random. Only a segment's first submission follows and moves the stream's home, and
//! only it is spent on finding out about a node.

use std::time::Instant;

use rand::{Rng, RngExt};

use super::ask::{Alternative, Ask, Choice, Purpose};
use super::clock::duration;
use super::field::{Barred, Entry, Field, Tier};
use super::health::Stand;
use super::home::{Home, Stay};
use super::members::zone;
use super::node::{Forecast, Node};
use super::reason::{FailureKind, Left, NoNode, NoNodeReason, PickReason};
use super::slab::NodeRef;
use super::tournament::BEST;
use super::zone::Stand as ZoneStand;
use super::{SCAN, Table};

/// Equal nodes are told apart by chance: predictions differ by up to this part.
const JITTER: f64 = 0.04;
/// Nodes of a large subset that are looked at by chance.
const RANDOM: usize = 2;
/// At most so much worse than the best is a stream's second node to be taken again, and a node that
/// is late for a stream that just fled there to stay.
const AGAIN: f64 = 2.0;
const FAR_WORSE: f64 = 3.0;
/// A node that a stream has just left and that gave nothing good for so many seconds may have turned
/// bad: nobody is there to tell.
const QUIET: f64 = 1.0;
/// A good node that has no room is waited for while there is so many times what the node at hand
/// is predicted to take.
const WAIT_TIME: f64 = 3.0;
/// A trial must leave time for another try: so many times what it is predicted to take.
const TRIAL_TIME: f64 = 1.5;
/// A node is not worth finding out about when it is predicted so much worse than the best.
const NOT_WORTH: f64 = 1.5;
/// A stream moves to spread the load when its node is used so many times as much, and by more
/// than this part of its slots.
const UNBALANCED: (f64, f64) = (1.33, 0.1);
/// And when it is no slower there. But a node of which less than this part is used, which has been
/// away or has never been needed, may be slower by so much: so it is known how it is.
const IDLE: (f64, f64) = (0.1, 1.4);

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

    fn consider(
        &self,
        reference: NodeRef,
        ask: &Ask<'_>,
        t: f64,
        field: &mut Field,
        rng: &mut impl Rng,
    ) {
        let Some(node) = self.nodes.get(reference) else {
            return;
        };
        let is_home = field.home == Some(reference);
        let (mut tier, mut why, mut trial) = self.tier(node, t);
        let barred = self.barred(reference, node, ask, t);
        if let Some(barred) = barred {
            field.bar(reference, tier, barred);
            return;
        }
        let forecast = node.forecast(ask.work as f64, t, &self.pace);
        let unproven = forecast.overdue && tier < Tier::Suspect;
        if unproven {
            (tier, why) = if node.flights.is_late(t) {
                (Tier::Slow, Some(Left::Overdue))
            } else {
                (Tier::Suspect, Some(Left::Suspect))
            };
        }
        if tier == Tier::Good && !is_home && self.is_gated(node, t, rng) {
            tier = Tier::Gated;
        }
        let elsewhere = match ask.purpose {
            Purpose::SecondOpinion { not_zone_of } | Purpose::Copy { not_zone_of } => {
                self.nodes.get(not_zone_of).map(|n| n.zone)
            }
            Purpose::First | Purpose::Retry | Purpose::Hedge => None,
        };
        if elsewhere == Some(node.zone) && tier == Tier::Good {
            tier = Tier::Gated;
        }
        if ask.purpose == Purpose::Hedge
            && (tier > Tier::Gated
                || forecast.wait > 0.0
                || forecast.total > ask.time_left.as_secs_f64())
        {
            field.none_free = true;
            return;
        }
        let beyond = match ask.purpose {
            Purpose::First => {
                node.utilisation.risk() * forecast.service + node.crowding(&forecast, t)
            }
            _ => 0.0,
        };
        let score = forecast.total + beyond;
        let entry = Entry {
            node: reference,
            tier,
            why,
            total: forecast.total,
            score,
            drawn: score * (1.0 + JITTER * rng.random::<f64>()),
            waits: forecast.wait > 0.0,
            unproven,
            waits_until: self.waits_until(node, tier, &forecast, ask),
        };
        let curious = tier <= Tier::Gated && !is_home && node.is_curious(t, &self.pace);
        trial &= !node.flights.on_trial();
        let burnt = ask.home.and_then(|h| h.burnt()) == Some(reference);
        if ask.purpose == Purpose::First
            && !burnt
            && !ask.home.is_some_and(|h| h.is_settling())
            && ((trial && field.trials) || (curious && field.curiosity))
        {
            let well = node.if_well(ask.work as f64).filter(|_| trial);
            let total = well.unwrap_or(forecast.total);
            if total * TRIAL_TIME < ask.time_left.as_secs_f64() {
                field.offer_trial(Entry { total, ..entry }, trial, rng);
            }
        }
        if field.balances && tier == Tier::Good && !entry.waits {
            field.offer_balance(entry, node.utilisation.value(t));
        }
        field.add(entry);
    }

    /// How much time must be left for a good node to be waited for in place of this one.
    fn waits_until(&self, node: &Node, tier: Tier, forecast: &Forecast, ask: &Ask<'_>) -> f64 {
        let well = || node.if_well(ask.work as f64).unwrap_or(forecast.total);
        match tier {
            // It is not known to be slow, nor to be well; what it has will tell.
            Tier::Doubted if node.flights.on_trial() => WAIT_TIME * well(),
            Tier::Doubted | Tier::Out => WAIT_TIME * forecast.total,
            // Too slow for another try, should it be worse than it is believed to be.
            Tier::Slow if forecast.total * TRIAL_TIME > ask.time_left.as_secs_f64() => {
                WAIT_TIME * well()
            }
            Tier::Good | Tier::Gated | Tier::Suspect | Tier::Slow => f64::INFINITY,
        }
    }

    /// What hinders a node from having this job, however good it is.
    fn barred(&self, reference: NodeRef, node: &Node, ask: &Ask<'_>, t: f64) -> Option<Barred> {
        if ask.tried.contains(&reference) {
            return Some(Barred::Tried);
        }
        if let Stand::Ejected { kind, until, .. } = node.health.stand(t)
            && kind.is_hard()
        {
            return Some(Barred::Ejected(kind, until));
        }
        if let Some(until) = node.blocked_until(t) {
            return Some(Barred::Blocked(until));
        }
        if node.is_draining(t, &self.pace) {
            return Some(Barred::Draining);
        }
        (!node.has_room(t, &self.pace)).then_some(Barred::Full)
    }

    /// A node's tier by its record and its zone's, why it is not good, and whether a trial is
    /// what it waits for.
    fn tier(&self, node: &Node, t: f64) -> (Tier, Option<Left>, bool) {
        let own = match node.health.stand(t) {
            Stand::Fine => (Tier::Good, None, false),
            Stand::Doubted(FailureKind::Slow) => (Tier::Slow, Some(Left::Overdue), false),
            Stand::Doubted(_) => (Tier::Doubted, Some(Left::Failed), false),
            Stand::Ejected { kind, capped, .. } => {
                let tier = if capped || self.panic {
                    Tier::Doubted
                } else {
                    Tier::Out
                };
                (tier, Some(Left::Ejected(kind)), false)
            }
            Stand::OnTrial(kind) if node.health.ejected() => {
                (Tier::Out, Some(Left::Ejected(kind)), true)
            }
            // One segment is its trial: until that has told, it gets no other.
            Stand::OnTrial(FailureKind::Slow) if !node.flights.on_trial() => {
                (Tier::Slow, Some(Left::Overdue), true)
            }
            Stand::OnTrial(FailureKind::Slow) => (Tier::Doubted, Some(Left::Overdue), true),
            Stand::OnTrial(_) => (Tier::Doubted, Some(Left::Failed), true),
        };
        let Some(zone) = zone(&self.zones, node.zone) else {
            return own;
        };
        match zone.stand(t) {
            ZoneStand::Fine => own,
            ZoneStand::Left => (Tier::Out, Some(Left::Zone), false),
            ZoneStand::OnTrial => {
                let may = own.0 == Tier::Good || own.2;
                (Tier::Out, Some(Left::Zone), may && zone.trials == 0)
            }
        }
    }

    /// A new or returning node comes into question as often as its share says.
    fn is_gated(&self, node: &Node, t: f64, rng: &mut impl Rng) -> bool {
        let zone = zone(&self.zones, node.zone);
        let zone = zone.map_or(1.0, |z| z.share(t, &self.config.zone));
        let share = node.health.share(t, &self.config.eject) * zone;
        share < self.full_share && rng.random::<f64>() * self.full_share > share
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
            let home = ask.home.unwrap_or(Home::new(entry.node));
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

    /// Stays with the stream's home, or moves it.
    fn follow_home(
        &self,
        ask: &Ask<'_>,
        field: &Field,
        best: &Entry,
        desperate: Option<PickReason>,
        t: f64,
    ) -> Choice {
        let Some(home) = ask.home else {
            let reason = desperate.unwrap_or(PickReason::FirstPick);
            return choice(field, best, reason, Home::new(best.node));
        };
        let turned_bad = |n: &Node| n.flights.is_late(t) || n.health.stand(t) != Stand::Fine;
        let home = match home.before().and_then(|n| self.nodes.get(n)) {
            Some(before) if turned_bad(before) => home.has_fled(),
            _ => home,
        };
        let ours = field.entry(home.node());
        // Who just fled does not run again for what may be chance.
        let stays =
            |e: &&Entry| home.is_settling() && e.unproven && e.total <= FAR_WORSE * best.total;
        let usable = ours.filter(|e| e.tier <= best.tier.max(Tier::Gated) || stays(e));
        let Some(ours) = usable else {
            let why = ours.and_then(|e| e.why).or(field.home_barred);
            let why = why.unwrap_or(Left::Gone);
            let again = home.second().and_then(|n| field.entry(n));
            let again = again.filter(|e| e.tier <= best.tier && e.score <= AGAIN * best.score);
            let next = again.unwrap_or(best);
            let reason = match desperate {
                Some(PickReason::OnlyOne) | None => PickReason::Left(why),
                Some(reason) => reason,
            };
            return choice(field, next, reason, home.leave(why, next.node));
        };
        let kept = desperate
            .filter(|r| *r != PickReason::OnlyOne)
            .unwrap_or(PickReason::Kept);
        let other = field.best_but(home.node());
        let Some(other) = other.filter(|e| e.tier <= ours.tier.max(Tier::Good)) else {
            return choice(field, ours, kept, home.stay());
        };
        let config = &self.config.home;
        let before = home.before().and_then(|n| self.nodes.get(n));
        let may_have_fled = before.is_some_and(|n| t - n.last_good > QUIET);
        let waits = ours.waits && !may_have_fled;
        let (stay, next) = home.compare(ours.score, other.node, other.score, waits, config);
        if let Stay::Move(reason) = stay {
            return choice(field, other, reason, next);
        }
        if let Some(other) = self.less_used(ours, field, t) {
            let home = next.balance(other.node);
            return choice(field, other, PickReason::Balance, home);
        }
        choice(field, ours, kept, next)
    }

    /// Where a stream should move for the load's sake alone.
    fn less_used<'f>(&self, ours: &Entry, field: &'f Field, t: f64) -> Option<&'f Entry> {
        let (other, theirs) = field.balance()?;
        let used = self.nodes.get(ours.node)?.utilisation.value(t);
        let less = used > UNBALANCED.0 * theirs && used - theirs > UNBALANCED.1;
        let slower = if theirs < IDLE.0 { IDLE.1 } else { 1.0 };
        (less && other.score <= ours.score * slower).then_some(other)
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

fn choice(field: &Field, chosen: &Entry, reason: PickReason, home: Home) -> Choice {
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
