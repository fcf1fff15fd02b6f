//! What a node is good for, for one job: its tier by its record, its zone's and what it has in flight,
//! what hinders it, and when it would be done.
//!
//! Tiers, best first: good, gated (new or just back, or in the wrong zone for a second opinion),
//! suspect, slow, doubted, out.

use rand::{Rng, RngExt};

use super::Table;
use super::ask::{Ask, Purpose};
use super::field::{Barred, Entry, Field, Tier};
use super::health::Stand;
use super::members::zone;
use super::node::{Forecast, Node};
use super::reason::{FailureKind, Left};
use super::slab::NodeRef;
use super::zone::Stand as ZoneStand;

/// Equal nodes are told apart by chance: predictions differ by up to this part.
const JITTER: f64 = 0.04;
/// A good node that has no room is waited for while there is so many times what the node at hand
/// is predicted to take.
const WAIT_TIME: f64 = 3.0;
/// A trial must leave time for another try: so many times what it is predicted to take. But who waits
/// for one for long gets it all the same: else a node that was slow by nature never comes back.
const TRIAL_TIME: f64 = 1.5;

impl Table {
    /// Takes a node into the field.
    pub(super) fn consider(
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
            let total = well.map_or(forecast.total, |well| well.min(forecast.total));
            let long = node.health.on_trial_for(t) > self.config.eject.max.as_secs_f64();
            if long || total * TRIAL_TIME < ask.time_left.as_secs_f64() {
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
}
