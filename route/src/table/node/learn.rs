//! What a job's end tells of its node.
//!
//! What a node says of its own time divides what was measured from outside, and never shortens it.

use super::Node;
use crate::table::ask::Timing;
use crate::table::config::Pace;
use crate::table::estimate::Estimate;
use crate::table::flights::Flight;
use crate::table::late::Surprise;

/// A probe's round trip stands for the network while no segment told it for so long.
const NETWORK_STALE: f64 = 10.0;

impl Node {
    /// A job took `elapsed` from sending it to its last rendition. True if that is far longer
    /// than the node needs as a rule.
    pub(in crate::table) fn took(
        &mut self,
        flight: &Flight,
        elapsed: f64,
        timing: Option<Timing>,
        t: f64,
        pace: &Pace,
        surprise: &mut Surprise,
    ) -> bool {
        let said = timing.map(|s| (s.queue.as_secs_f64(), s.work.as_secs_f64()));
        let said = said.filter(|(queue, working)| queue + working <= elapsed);
        let said_full = self
            .fresh(t, pace)
            .is_some_and(|r| r.others.saturating_add(self.flights.len()) >= r.slots);
        let (network, compute, excused) = match said {
            Some((queue, working)) => {
                // A queue that nobody could know of is its own slowness.
                let excused = if said_full {
                    queue
                } else {
                    queue.min(flight.wait * 1.5 + 0.02)
                };
                (
                    Some(elapsed - queue - working),
                    working + queue - excused,
                    excused,
                )
            }
            None => {
                let rest = (elapsed - self.network(t, pace)).max(0.0);
                let excused = flight.wait.min(rest);
                (None, rest - excused, excused)
            }
        };
        let sample = compute / (flight.work.max(1.0) * flight.contention);
        let first = !self.measured;
        let slow = !first && self.is_slow(flight, elapsed, excused, pace, surprise);
        if first {
            self.speed = Estimate::new(sample, t);
            self.measured = true;
        } else {
            if !slow {
                let times = |took: f64| took / flight.predicted.max(1e-3);
                let first = flight.first_at.filter(|_| flight.several);
                let first = first.map(|at| at - flight.sent);
                let known = self.first_part.get().filter(|part| *part > 0.0);
                let surprising = first.zip(known).map(|(took, part)| times(took) / part);
                surprise.observe(surprising, times(elapsed));
                if let Some(took) = first {
                    self.first_part.observe(took / elapsed.max(1e-3));
                }
            }
            let alone = self.usual.speed().unwrap_or(sample);
            let ratio = sample / alone.max(f64::MIN_POSITIVE);
            self.limit.observe(flight.beside, ratio, self.said_slots());
            self.speed.observe(sample, t, surprise.band(), pace.decay);
        }
        if let Some(network) = network {
            if !self.network_known {
                self.network = Estimate::new(network, t);
                self.network_known = true;
            }
            self.heard(network, t, pace, surprise);
        }
        let network = self.network(t, pace);
        self.usual.observe(sample, network, t);
        if !slow {
            self.flights.good(flight.sent);
            self.last_good = t;
        }
        self.refusals = 0;
        slow
    }

    /// Whether a job that has taken `elapsed` is far beyond what this node needs as a rule;
    /// what it waited for others is excused.
    fn is_slow(
        &self,
        flight: &Flight,
        elapsed: f64,
        excused: f64,
        pace: &Pace,
        surprise: &Surprise,
    ) -> bool {
        let Some((speed, network)) = self.usual.get() else {
            return false;
        };
        let usual = network + flight.work * speed * flight.contention + excused;
        // Who is on trial has to convince.
        let least = if flight.trial { 1.0 } else { pace.slow };
        elapsed > usual * surprise.late().max(least) + pace.patience
    }

    /// A job was given up after `elapsed`: no sample, but a bound. True if that is far more
    /// than it should have needed.
    pub(in crate::table) fn took_at_least(
        &mut self,
        flight: &Flight,
        elapsed: f64,
        t: f64,
        pace: &Pace,
        surprise: &Surprise,
    ) -> bool {
        if elapsed <= flight.predicted {
            return false;
        }
        let compute = elapsed - self.network(t, pace) - flight.wait;
        let bound = compute / (flight.work.max(1.0) * flight.contention);
        if self.measured {
            self.speed.at_least(bound, t, pace.decay);
        } else if bound > self.prior {
            self.speed = Estimate::new(bound, t);
            self.measured = true;
        }
        self.is_slow(flight, elapsed, flight.wait, pace, surprise)
    }

    fn heard(&mut self, network: f64, t: f64, pace: &Pace, surprise: &Surprise) {
        if self.network.at() == f64::NEG_INFINITY {
            self.network = Estimate::new(network, t);
        } else {
            self.network
                .observe(network, t, surprise.band() + 0.5, pace.decay);
        }
    }

    /// A probe came back. It is smaller than a segment, so it counts where nothing better is
    /// known, or where even it takes longer. Of several the quickest is believed: the first one
    /// had to make the connection.
    pub(in crate::table) fn round_trip(
        &mut self,
        rtt: f64,
        t: f64,
        pace: &Pace,
        surprise: &Surprise,
    ) {
        if !self.network_known && rtt < self.network(t, pace) {
            self.network = Estimate::new(rtt, t);
        } else if t - self.network.at() > NETWORK_STALE || rtt > self.network(t, pace) {
            self.heard(rtt, t, pace, surprise);
        }
    }
}
