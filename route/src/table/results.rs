//! Where the table learns: jobs that are sent and end.

use std::time::{Duration, Instant};

use rand::Rng;

use super::Table;
use super::ask::{Change, Outcome, Ticket};
use super::clock::duration;
use super::flights::Flight;
use super::health::{Failure, Stand};
use super::members::{zone, zone_mut};
use super::node::Sent;
use super::reason::FailureKind;
use super::residents::{Due, Residence};
use super::slab::NodeRef;
use super::zone::Stand as ZoneStand;

/// Weight of one segment in the average of what segments need.
const TYPICAL_GAIN: f64 = 0.02;

impl Table {
    /// A job of `work` pixels, in so many renditions, is about to be sent to `node`; `predicted` as the
    /// [`Choice`](super::Choice) said.
    pub fn start(
        &mut self,
        node: NodeRef,
        work: u64,
        renditions: usize,
        predicted: Duration,
        now: Instant,
    ) -> Ticket {
        let t = self.clock.seconds(now);
        self.upkeep(t);
        self.trials.segment(t);
        self.curiosity.segment(t);
        self.next_flight += 1;
        let (flight, pixels) = (self.next_flight, work as f64);
        self.typical_work = if self.typical_work > 0.0 {
            self.typical_work + (pixels - self.typical_work) * TYPICAL_GAIN
        } else {
            pixels
        };
        let mut trial = false;
        if let Some(n) = self.nodes.get_mut(node) {
            let zone = zone_mut(&mut self.zones, n.zone);
            let zone = zone.filter(|z| z.stand(t) == ZoneStand::OnTrial);
            trial = zone.is_some() || matches!(n.health.stand(t), Stand::OnTrial(_));
            if trial {
                self.trials.take(t);
            } else if n.is_curious(t, &self.pace) {
                self.curiosity.take(t);
            }
            let job = Sent {
                id: flight,
                work: pixels,
                predicted: predicted.as_secs_f64(),
                renditions,
                trial,
            };
            n.sent(job, t, &self.pace, &self.surprise);
            if trial && let Some(zone) = zone_mut(&mut self.zones, n.zone) {
                zone.trials += 1;
            }
            self.reorder(node, t);
        }
        Ticket {
            node,
            flight,
            work,
            sent: now,
            predicted,
            trial,
        }
    }

    /// A stream lives on `node`, and its next segment is due then.
    pub fn expect(&mut self, node: NodeRef, due: Instant) -> Residence {
        let at = self.clock.seconds(due);
        self.next_due += 1;
        let id = self.next_due;
        let known = self.nodes.get_mut(node);
        let due = known.map_or(Due::of(at, id), |n| n.residents.add(at, id));
        Residence { node, due }
    }

    /// What was due has come, or will not.
    pub fn unexpect(&mut self, residence: &Residence) {
        if let Some(node) = self.nodes.get_mut(residence.node) {
            node.residents.remove(residence.due);
        }
    }

    /// The first rendition of a job came.
    pub fn begun(&mut self, ticket: &Ticket, now: Instant) {
        let t = self.clock.seconds(now);
        if let Some(node) = self.nodes.get_mut(ticket.node) {
            node.begun(ticket.flight, t, &self.pace, &self.surprise);
        }
    }

    /// A job came to its end. What that changed in the node's standing, if anything.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a ticket is good for one end"
    )]
    pub fn finish(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let Ticket {
            node: reference,
            flight,
            ..
        } = ticket;
        let t = self.clock.seconds(now);
        let node = self.nodes.get_mut(reference)?;
        // What it is late with may all be given up for hedges: that does not make it well.
        let late = node.flights.is_late(t);
        let flight = node.flights.remove(flight)?;
        if flight.trial
            && let Some(zone) = zone_mut(&mut self.zones, node.zone)
        {
            zone.trials = zone.trials.saturating_sub(1);
        }
        let claim = outcome == Outcome::Claimed;
        if !matches!(outcome, Outcome::Refused { .. } | Outcome::Cancelled) {
            node.claims.result(claim, t);
            self.claims.result(claim, t);
        }
        let late = late && t > flight.suspect_at;
        let change = self.settle(reference, &flight, late, outcome, t, rng);
        if let Some(node) = self.nodes.get_mut(reference) {
            node.note_jobs(t, &self.pace);
        }
        self.upkeep(t);
        self.reorder(reference, t);
        change
    }

    /// Draws the consequences of a job's end.
    fn settle(
        &mut self,
        reference: NodeRef,
        flight: &Flight,
        late: bool,
        outcome: Outcome,
        t: f64,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let (pace, surprise) = (self.pace, &mut self.surprise);
        let node = self.nodes.get_mut(reference)?;
        match outcome {
            Outcome::Done {
                elapsed,
                timing,
                load,
            } => {
                if let Some(load) = load {
                    node.said(load, t, &pace);
                }
                let elapsed = elapsed.as_secs_f64();
                let slow = node.took(flight, elapsed, timing, t, &pace, surprise);
                self.pace.rest = surprise.rest();
                if slow {
                    return self.fail(reference, FailureKind::Slow, flight.sent, false, t, rng);
                }
                let returned = node.health.success(flight.sent, t, &self.config.eject);
                if returned {
                    node.claims.clear(t);
                }
                self.zone_success(node_zone(&self.nodes, reference), flight.sent, t);
                returned.then_some(Change::Returned)
            }
            Outcome::Failed(kind) => {
                if matches!(kind, FailureKind::TimedOut | FailureKind::Slow) {
                    let elapsed = t - flight.sent;
                    let _ = node.took_at_least(flight, elapsed, t, &pace, surprise);
                }
                self.fail(reference, kind, flight.sent, false, t, rng)
            }
            Outcome::Claimed => {
                let many = node.claims.stand_out(&self.claims);
                let kind = FailureKind::ManyClaims;
                many.then(|| self.false_claims(reference, kind, t, rng))
                    .flatten()
            }
            Outcome::Refused { retry_after, load } => {
                let default = self.config.block_default.as_secs_f64();
                let most = self.config.block_max.as_secs_f64();
                node.refused(retry_after.map(|d| d.as_secs_f64()), default, most, t);
                if let Some(load) = load {
                    node.said(load, t, &pace);
                }
                None
            }
            Outcome::Cancelled => {
                let elapsed = t - flight.sent;
                if node.took_at_least(flight, elapsed, t, &pace, surprise) || late {
                    self.fail(reference, FailureKind::Slow, flight.sent, false, t, rng)
                } else {
                    None
                }
            }
        }
    }

    /// Counts a failure that came to light only after the job was finished, or without one.
    pub fn blame(
        &mut self,
        node: NodeRef,
        kind: FailureKind,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let t = self.clock.seconds(now);
        let change = self.fail(node, kind, t, false, t, rng);
        self.upkeep(t);
        self.reorder(node, t);
        change
    }

    /// A second node could transcode what this one [claimed](Outcome::Claimed) could not be.
    pub fn contradicted(
        &mut self,
        node: NodeRef,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let t = self.clock.seconds(now);
        self.claims.confirmed(t);
        let change = if self.nodes.get_mut(node)?.claims.contradicted(t) {
            self.false_claims(node, FailureKind::FalseClaim, t, rng)
        } else {
            self.fail(node, FailureKind::FalseClaim, t, false, t, rng)
        };
        self.upkeep(t);
        self.reorder(node, t);
        change
    }

    /// A second node agrees with what this one [claimed](Outcome::Claimed).
    pub fn confirmed(&mut self, node: NodeRef, now: Instant) {
        let t = self.clock.seconds(now);
        self.claims.confirmed(t);
        if let Some(node) = self.nodes.get_mut(node) {
            node.claims.confirmed(t);
        }
    }

    /// A node blames segments too often: out, whatever else it does well.
    fn false_claims(
        &mut self,
        node: NodeRef,
        kind: FailureKind,
        t: f64,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        self.nodes.get_mut(node)?.claims.clear(t);
        self.fail(node, kind, t, true, t, rng)
    }

    fn fail(
        &mut self,
        reference: NodeRef,
        kind: FailureKind,
        sent: f64,
        decisive: bool,
        t: f64,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let most = (self.config.eject.most * self.subset.len() as f64).floor();
        let node = self.nodes.get_mut(reference)?;
        let already = usize::from(node.health.softly_ejected());
        let others = self.softly_ejected.saturating_sub(already) as f64;
        let failure = Failure {
            kind,
            sent,
            decisive,
            capped: others + 1.0 > most.max(1.0),
        };
        let length = node.health.failure(failure, t, &self.config.eject, rng);
        // Counted anew before long; until then a burst must not pass the cap.
        self.softly_ejected += usize::from(node.health.softly_ejected()).saturating_sub(already);
        let zone_index = node.zone;
        let was_trial = zone(&self.zones, zone_index)
            .is_some_and(|z| z.stand(t) == ZoneStand::OnTrial && z.left_until() <= Some(sent));
        if was_trial && kind.is_answer() {
            // What lies between is well: the node alone is to blame.
            self.zone_success(Some(zone_index), sent, t);
        } else if was_trial && let Ok(index) = usize::try_from(zone_index) {
            self.leave_zone(index, t);
        }
        let length = duration(length?);
        Some(Change::Ejected { kind, length })
    }

    fn zone_success(&mut self, index: Option<u32>, sent: f64, t: f64) {
        let Some(index) = index else {
            return;
        };
        if zone_mut(&mut self.zones, index).is_some_and(|z| z.success(sent, t))
            && let Ok(index) = usize::try_from(index)
        {
            self.note_zone(index, None);
        }
    }
}

fn node_zone(nodes: &super::slab::Slab<super::node::Node>, node: NodeRef) -> Option<u32> {
    nodes.get(node).map(|n| n.zone)
}
