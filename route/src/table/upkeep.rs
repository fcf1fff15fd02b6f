//! What is worked out beside the picks, so that a pick need not: the state of zones, the size
//! of the subset, and in a large subset the order of its nodes.

use super::clock::duration;
use super::fleet::Fleet;
use super::health::Stand;
use super::members::{zone, zone_mut};
use super::node::Node;
use super::view::ZoneChange;
use super::zone::{self, Stand as ZoneStand, Tally, Zone};
use super::{SCAN, Table};

/// A large subset is swept at most so often, in seconds. In a small one every event does it.
const SWEEP_EVERY: f64 = 0.02;
/// How often the size of the subset is reconsidered.
const RESIZE_EVERY: f64 = 0.1;

impl Table {
    /// Called at every event.
    pub(super) fn upkeep(&mut self, t: f64) {
        if t - self.sized_at >= RESIZE_EVERY {
            self.resize(t);
        }
        if self.subset.len() <= SCAN || t - self.swept_at >= SWEEP_EVERY {
            self.sweep(t);
        }
    }

    /// Fits the subset to this ingest's need.
    pub(super) fn resize(&mut self, t: f64) {
        self.sized_at = t;
        let (mut slots, mut used, mut ours) = (0.0f64, 0.0, 0.0);
        for node in self.subset.iter().filter_map(|n| self.nodes.get(*n)) {
            let its = f64::from(node.slots());
            used += node.utilisation.value(t) * its;
            ours += node.utilisation.ours(t) * its;
            if node.health.stand(t) == Stand::Fine {
                slots += its;
            }
        }
        // A subset of which nothing is usable is full of what comes.
        let nothing = slots == 0.0 && !self.subset.is_empty();
        let part = |jobs: f64| if nothing { 1.0 } else { jobs / slots.max(1.0) };
        let (ours, used) = (part(ours), part(used));
        let all = self.order.len();
        self.size.follow(ours, used, all, t, &self.config.subset);
        let now = self.size.get().min(all);
        let same = self.subset.len() == now
            && self
                .subset
                .iter()
                .zip(&self.order)
                .all(|(a, b)| *a == b.node);
        if !same {
            for node in self.nodes.iter_mut() {
                node.place = None;
            }
            self.subset.clear();
            for (place, ranked) in self.order.iter().take(now).enumerate() {
                self.subset.push(ranked.node);
                if let Some(node) = self.nodes.get_mut(ranked.node) {
                    node.place = u32::try_from(place).ok();
                }
            }
        }
        self.fleet = Fleet::default();
        for node in self.nodes.iter() {
            if let Some(speed) = node.usual_speed() {
                self.fleet.observe(&node.member, speed);
            }
        }
        let (fleet, unknown) = (self.fleet, 1.0 / self.config.prior_pixel_rate);
        for node in self.nodes.iter_mut() {
            node.prior = fleet.prior(&node.member, unknown);
        }
        if !same {
            self.sweep(t);
        }
    }

    /// Judges the zones, and orders the nodes of a large subset.
    pub(super) fn sweep(&mut self, t: f64) {
        self.swept_at = t;
        let config = &self.config;
        for zone in &mut self.zones {
            zone.tally = Tally::default();
            zone.bad_from = f64::INFINITY;
        }
        let (mut ejected, mut soft) = (0usize, 0usize);
        let mut full_share = 0.0f64;
        let (mut slots, mut ready) = (0.0, 0.0);
        for node in self.subset.iter().filter_map(|n| self.nodes.get(*n)) {
            ejected += usize::from(node.health.ejected());
            soft += usize::from(node.health.softly_ejected());
            let Some(zone) = zone_mut(&mut self.zones, node.zone) else {
                continue;
            };
            let share = node.health.share(t, &config.eject) * zone.share(t, &config.zone);
            full_share = full_share.max(share);
            let fine = node.health.stand(t) == Stand::Fine && zone.stand(t) == ZoneStand::Fine;
            let takes = fine && !node.flights.is_late(t) && node.blocked_until(t).is_none();
            slots += f64::from(node.slots());
            ready += f64::from(if takes { node.slots() } else { 0 });
            zone.tally.nodes += 1;
            if let Some(since) = bad_from(node, zone, t, &config.zone) {
                zone.tally.bad += 1;
                zone.bad_from = zone.bad_from.min(since);
            }
        }
        for node in self.subset.iter().filter_map(|n| self.nodes.get(*n)) {
            let Some(zone) = zone_mut(&mut self.zones, node.zone) else {
                continue;
            };
            let recent = t - node.last_good <= config.zone.good_for.as_secs_f64();
            // What came well after the others turned bad is evidence as long as that is.
            let since = node.last_good > zone.bad_from;
            if (recent || since) && bad_from(node, zone, t, &config.zone).is_none() {
                zone.tally.good += 1;
            }
        }
        let all = self.subset.len();
        self.softly_ejected = soft;
        let healthy = all.saturating_sub(ejected) as f64;
        self.panic = soft > 0 && healthy < config.eject.panic * all as f64;
        self.full_share = if full_share > 0.0 { full_share } else { 1.0 };
        self.ready = ready / f64::max(slots, 1.0);
        self.judge_zones(t);
        if all > SCAN {
            self.order_subset(t);
        }
    }

    fn judge_zones(&mut self, t: f64) {
        let total = self.zones.iter().fold(Tally::default(), |sum, z| Tally {
            nodes: sum.nodes + z.tally.nodes,
            good: sum.good + z.tally.good,
            bad: sum.bad + z.tally.bad,
        });
        for i in 0..self.zones.len() {
            let Some(zone) = self.zones.get(i) else {
                continue;
            };
            let own = zone.tally;
            let rest = Tally {
                nodes: total.nodes - own.nodes,
                good: total.good - own.good,
                bad: total.bad - own.bad,
            };
            if zone.stand(t) == ZoneStand::Fine && own.condemns(rest, &self.config.zone) {
                self.leave_zone(i, t);
            }
        }
    }

    /// Leaves a zone, or leaves it again after its trial failed.
    pub(super) fn leave_zone(&mut self, index: usize, t: f64) {
        let chance = self.draw();
        if let Some(zone) = self.zones.get_mut(index) {
            let length = zone.leave(t, chance, &self.config.zone);
            self.note_zone(index, Some(length));
        }
    }

    /// Remembers a change for whoever asks; `left` in seconds.
    pub(super) fn note_zone(&mut self, index: usize, left: Option<f64>) {
        // Whoever does not read them loses the oldest.
        const MOST: usize = 64;
        if self.zone_changes.len() >= MOST {
            self.zone_changes.remove(0);
        }
        let Some(zone) = self.zones.get(index) else {
            return;
        };
        self.zone_changes.push(ZoneChange {
            zone: zone.name.clone(),
            left: left.map(duration),
        });
    }

    /// Keys of all nodes of a large subset, and the list of those that wait for a trial.
    fn order_subset(&mut self, t: f64) {
        let mut tournament = std::mem::take(&mut self.tournament);
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.clear();
        let first_draw = self.dice;
        let keys = self.subset.iter().enumerate().map(|(place, reference)| {
            let Some(node) = self.nodes.get(*reference) else {
                return f64::INFINITY;
            };
            if self.wants_trial(node, t) {
                waiting.push(*reference);
            }
            // Who is given a part of its share stands in the list that part of the time.
            let mixed = super::subset::mix(first_draw.wrapping_add(place as u64));
            self.key(node, super::subset::unit(mixed), t)
        });
        tournament.rebuild(keys);
        self.dice = self.dice.wrapping_add(self.subset.len() as u64);
        self.tournament = tournament;
        self.waiting = waiting;
    }

    /// Brings one node's key up to date.
    pub(super) fn reorder(&mut self, reference: super::NodeRef, t: f64) {
        if self.subset.len() <= SCAN {
            return;
        }
        let Some(node) = self.nodes.get(reference) else {
            return;
        };
        let Some(place) = node.place.and_then(|p| usize::try_from(p).ok()) else {
            return;
        };
        let key = self.key(node, 0.0, t);
        self.tournament.set(place, key);
    }

    /// What a large subset is ordered by: the prediction for a typical segment, for nodes that
    /// are good.
    fn key(&self, node: &Node, chance: f64, t: f64) -> f64 {
        let Some(zone) = zone(&self.zones, node.zone) else {
            return f64::INFINITY;
        };
        let share = node.health.share(t, &self.config.eject) * zone.share(t, &self.config.zone);
        let out = node.health.stand(t) != Stand::Fine
            || zone.stand(t) != ZoneStand::Fine
            || share < chance * self.full_share
            || node.blocked_until(t).is_some()
            || node.is_draining(t, &self.pace)
            || !node.has_room(t, &self.pace);
        if out {
            return f64::INFINITY;
        }
        let forecast = node.forecast(self.typical_work, t, &self.pace);
        if forecast.overdue {
            return f64::INFINITY;
        }
        forecast.total + node.utilisation.risk() * forecast.service
    }

    fn wants_trial(&self, node: &Node, t: f64) -> bool {
        let Some(zone) = zone(&self.zones, node.zone) else {
            return false;
        };
        match (zone.stand(t), node.health.stand(t)) {
            (ZoneStand::Left, _) => false,
            (ZoneStand::OnTrial, Stand::Fine | Stand::OnTrial(_))
            | (ZoneStand::Fine, Stand::OnTrial(_)) => true,
            (ZoneStand::Fine, Stand::Fine) => node.is_curious(t, &self.pace),
            _ => false,
        }
    }
}

/// Since when the node is evidence against its zone, if it is now: who answers badly is not cut off.
fn bad_from(node: &Node, zone: &Zone, t: f64, config: &zone::Config) -> Option<f64> {
    let bad_for = config.bad_for.as_secs_f64();
    let since = node.health.cut_off_since();
    let turned = since.filter(|at| t - at <= bad_for && *at >= zone.good_since());
    // Who has just answered well has only too much to do.
    let silent = t - node.last_good > config.good_for.as_secs_f64();
    turned.or(node.flights.certain_since(t).filter(|_| silent))
}
