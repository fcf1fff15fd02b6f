use std::time::{Duration, Instant};

use super::config::Config;
use super::estimate::{PeakEwma, fade};
use super::health::Health;
use crate::member::{Load, Member};

/// The most slots that are believed of one node.
const MAX_SLOTS: u32 = 1024;

/// How a node stands with this ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was measured yet.
    Unmeasured,
    /// Its last results were good.
    Good,
    /// It asked to be left alone until then.
    Blocked(Instant),
    /// It failed and is left alone until then.
    Ejected(Instant),
    /// Its ejection is over and its next segment decides.
    Trial,
    /// It says that it drains.
    Draining,
}

/// What the table knows of a node, for status pages and logs.
#[derive(Debug, Clone)]
pub struct NodeView<'a> {
    /// What the catalog says.
    pub member: &'a Member,
    /// How it stands.
    pub standing: Standing,
    /// Our segments in flight.
    pub in_flight: u32,
    /// Seconds that a million output pixels take on the idle node, as predicted now.
    pub seconds_per_megapixel: f64,
    /// The network's part of a segment's time.
    pub network: Duration,
    /// Failures in a row.
    pub failures: u32,
}

/// Everything known of one node. All times of work are in seconds.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) member: Member,
    /// Tells the tickets of this life from those of an earlier one with the same ID.
    pub(crate) life: u64,
    pub(crate) in_flight: u32,
    pub(crate) health: Health,
    pub(crate) measured: bool,
    /// Seconds per output pixel on an idle node.
    speed: PeakEwma,
    network: PeakEwma,
    load: Option<Report>,
    blocked_until: Option<Instant>,
    failed_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    slots: u32,
    /// Jobs that are not ours.
    others: u32,
    draining: bool,
    at: Instant,
}

impl Node {
    pub(crate) fn new(member: Member, life: u64, config: &Config, now: Instant) -> Self {
        Self {
            speed: PeakEwma::new(prior(&member, config), now),
            network: PeakEwma::new(0.0, now),
            member,
            life,
            in_flight: 0,
            health: Health::new(now),
            measured: false,
            load: None,
            blocked_until: None,
            failed_at: None,
        }
    }

    pub(crate) fn slots(&self) -> u32 {
        let slots = self.load.map_or(self.member.slots, |l| l.slots);
        slots.clamp(1, MAX_SLOTS)
    }

    fn fresh(&self, now: Instant, config: &Config) -> Option<Report> {
        self.load
            .filter(|l| now.saturating_duration_since(l.at) <= config.load_fresh)
    }

    /// How much longer a job takes here than on the idle node: a share of the slots is taken,
    /// and beyond them it waits.
    pub(crate) fn occupancy(&self, now: Instant, config: &Config) -> f64 {
        let others = self.fresh(now, config).map_or(0, |l| l.others);
        1.0 + f64::from(self.in_flight.saturating_add(others)) / f64::from(self.slots())
    }

    fn seconds_per_pixel(&self, now: Instant, config: &Config) -> f64 {
        self.speed
            .value(prior(&self.member, config), now, config.forget)
    }

    fn network(&self, now: Instant, config: &Config) -> f64 {
        self.network.value(0.0, now, config.forget)
    }

    /// Seconds until a segment of `work` pixels, sent now, comes back.
    pub(crate) fn predict(&self, work: u64, now: Instant, config: &Config) -> f64 {
        let penalty = self.failed_at.map_or(0.0, |at| {
            let age = now.saturating_duration_since(at);
            config.failure_penalty.as_secs_f64() * fade(age, config.decay)
        });
        let compute = work as f64 * self.seconds_per_pixel(now, config);
        self.network(now, config) + compute * self.occupancy(now, config) + penalty
    }

    /// A segment took so long, from sending it to its last rendition.
    pub(crate) fn took(&mut self, job: Took, now: Instant, config: &Config) {
        let compute = (job.elapsed - self.network(now, config)).max(0.0);
        let sample = compute / (job.work.max(1) as f64 * job.occupancy);
        if self.measured {
            self.speed.observe(sample, now, config.decay);
        } else {
            self.speed = PeakEwma::new(sample, now);
            self.measured = true;
        }
    }

    /// A segment was given up after so long: no sample, but a bound.
    pub(crate) fn took_at_least(&mut self, job: Took, now: Instant, config: &Config) {
        let sample = job.elapsed / (job.work.max(1) as f64 * job.occupancy);
        if sample > self.seconds_per_pixel(now, config) {
            self.speed.observe(sample, now, config.decay);
        }
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.failed_at = Some(now);
    }

    /// It came through its trial: what it failed at before no longer speaks against it.
    pub(crate) fn cleared(&mut self) {
        self.failed_at = None;
    }

    pub(crate) fn round_trip(&mut self, rtt: Duration, now: Instant, config: &Config) {
        self.network.observe(rtt.as_secs_f64(), now, config.decay);
    }

    /// What the node says of itself; `ours` of its jobs were ours when it said so.
    pub(crate) fn report(&mut self, load: Load, ours: u32, now: Instant) {
        self.load = Some(Report {
            slots: load.slots,
            others: load.jobs.saturating_sub(ours),
            draining: load.draining,
            at: now,
        });
    }

    /// The last report of its load will not count much longer.
    pub(crate) fn is_silent(&self, now: Instant, config: &Config) -> bool {
        self.load
            .is_none_or(|l| now.saturating_duration_since(l.at) * 2 > config.load_fresh)
    }

    pub(crate) fn block(&mut self, length: Duration, now: Instant) {
        self.blocked_until = Some(now + length);
    }

    /// Until when the node must not be asked because it said so.
    pub(crate) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        self.blocked_until.filter(|until| now < *until)
    }

    pub(crate) fn is_draining(&self, now: Instant, config: &Config) -> bool {
        self.fresh(now, config).is_some_and(|l| l.draining)
    }

    /// Room for one more of our segments: a running and a queued one for each slot.
    pub(crate) fn has_room(&self, config: &Config) -> bool {
        let most = self.slots().saturating_mul(2);
        self.in_flight < most.min(config.max_in_flight_per_node)
    }

    pub(crate) fn standing(&self, now: Instant, config: &Config) -> Standing {
        match self.health.ejected_until() {
            Some(until) if now < until => return Standing::Ejected(until),
            Some(_) => return Standing::Trial,
            None => {}
        }
        if let Some(until) = self.blocked_until(now) {
            Standing::Blocked(until)
        } else if self.is_draining(now, config) {
            Standing::Draining
        } else if self.measured {
            Standing::Good
        } else {
            Standing::Unmeasured
        }
    }

    pub(crate) fn view(&self, now: Instant, config: &Config) -> NodeView<'_> {
        NodeView {
            member: &self.member,
            standing: self.standing(now, config),
            in_flight: self.in_flight,
            seconds_per_megapixel: self.seconds_per_pixel(now, config) * 1e6,
            network: Duration::try_from_secs_f64(self.network(now, config)).unwrap_or_default(),
            failures: self.health.failures(),
        }
    }
}

/// How long a segment took, and under which load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub(crate) elapsed: f64,
    pub(crate) work: u64,
    pub(crate) occupancy: f64,
}

/// Seconds per pixel that a node is taken to need until it was measured.
fn prior(member: &Member, config: &Config) -> f64 {
    let slots = f64::from(member.slots.clamp(1, MAX_SLOTS));
    let per_slot = match member.pixel_rate {
        Some(rate) if rate.is_finite() && rate >= 1.0 => rate / slots,
        _ => config.prior_pixel_rate,
    };
    1.0 / per_slot.max(1.0)
}
