//! One node: what it was measured to do, and what that predicts.

mod first_part;
mod forecast;
mod learn;

pub(super) use forecast::Forecast;

use first_part::FirstPart;

use super::clock::fade;
use super::config::Pace;
use super::estimate::Estimate;
use super::flights::{Flight, Flights};
use super::health::{self, Health};
use super::late::{Marks, Surprise};
use super::limit::SlotLimit;
use super::residents::Residents;
use super::usual::Usual;
use super::utilisation::Utilisation;
use crate::member::{Load, Member};

/// The most slots that are believed of one node.
const MAX_SLOTS: u32 = 1024;
/// How many times what was predicted an unmeasured node may take before it is late.
const UNMEASURED_LATE: f64 = 4.0;

/// Everything known of one node. All times in seconds.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) member: Member,
    pub(super) zone: u32,
    /// Its place in the ingest's order, if it is in the subset.
    pub(super) place: Option<u32>,
    pub(super) health: Health,
    pub(super) flights: Flights,
    pub(super) residents: Residents,
    pub(super) utilisation: Utilisation,
    pub(super) probed_at: f64,
    pub(super) claims: super::claims::Claims,
    /// Seconds per pixel while nothing else is known.
    pub(super) prior: f64,
    pub(super) measured: bool,
    /// Seconds per output pixel, alone on the node.
    speed: Estimate,
    network: Estimate,
    /// A segment told it, and not only probes.
    network_known: bool,
    usual: Usual,
    first_part: FirstPart,
    limit: SlotLimit,
    report: Option<Report>,
    blocked_until: f64,
    refusals: u32,
    pub(super) last_good: f64,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    slots: u32,
    /// Jobs that are not ours.
    others: u32,
    draining: bool,
    at: f64,
}

/// A job that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) id: u64,
    pub(super) work: f64,
    pub(super) predicted: f64,
    pub(super) renditions: usize,
    pub(super) trial: bool,
}

impl Node {
    pub(super) fn new(
        member: Member,
        zone: u32,
        prior: f64,
        t: f64,
        config: &health::Config,
    ) -> Self {
        Self {
            member,
            zone,
            place: None,
            health: Health::new(t, config),
            flights: Flights::default(),
            residents: Residents::default(),
            utilisation: Utilisation::new(t),
            probed_at: f64::NEG_INFINITY,
            claims: super::claims::Claims::new(t),
            prior,
            measured: false,
            speed: Estimate::new(prior, t),
            network: Estimate::new(0.0, f64::NEG_INFINITY),
            network_known: false,
            usual: Usual::default(),
            first_part: FirstPart::default(),
            limit: SlotLimit::default(),
            report: None,
            blocked_until: f64::NEG_INFINITY,
            refusals: 0,
            last_good: f64::NEG_INFINITY,
        }
    }

    fn said_slots(&self) -> u32 {
        let slots = self.report.map_or(self.member.slots, |r| r.slots);
        slots.clamp(1, MAX_SLOTS)
    }

    /// Slots that are believed.
    pub(super) fn slots(&self) -> u32 {
        self.limit.slots(self.said_slots())
    }

    fn fresh(&self, t: f64, pace: &Pace) -> Option<&Report> {
        self.report.as_ref().filter(|r| t - r.at <= pace.load_fresh)
    }

    /// Jobs that are not ours, as far as a fresh report tells.
    pub(super) fn others(&self, t: f64, pace: &Pace) -> u32 {
        self.fresh(t, pace).map_or(0, |r| r.others)
    }

    /// Seconds per pixel, alone on the node, as believed now.
    pub(super) fn speed(&self, t: f64, pace: &Pace) -> f64 {
        if !self.measured {
            return self.prior;
        }
        let age = t - self.speed.at();
        let measured = self.speed.value(t, pace.decay);
        if age < 1.0 {
            return measured;
        }
        self.prior + (measured - self.prior) * fade(age / pace.forget)
    }

    /// Seconds per pixel that it needs as a rule, once measured.
    pub(super) fn usual_speed(&self) -> Option<f64> {
        self.usual.speed()
    }

    /// The network's part of a segment's time.
    pub(super) fn network(&self, t: f64, pace: &Pace) -> f64 {
        self.network.value(t, pace.decay)
    }

    /// Idle, and not measured at all or for so long that a segment is well spent on it.
    pub(super) fn is_curious(&self, t: f64, pace: &Pace) -> bool {
        self.flights.len() == 0 && (!self.measured || t - self.speed.at() > pace.stale)
    }

    /// A job is about to be sent.
    pub(super) fn sent(&mut self, job: Sent, t: f64, pace: &Pace, surprise: &Surprise) {
        let forecast = self.forecast(job.work, t, pace);
        let (marks, over) = match self.measured {
            true => (self.first_marks(job.renditions, surprise), surprise.late()),
            false => (Marks::all(UNMEASURED_LATE), UNMEASURED_LATE),
        };
        let mut flight = Flight {
            id: job.id,
            work: job.work,
            sent: t,
            predicted: job.predicted,
            wait: forecast.wait,
            contention: forecast.contention,
            speed: forecast.speed,
            first_at: None,
            due_at: 0.0,
            suspect_at: 0.0,
            late_at: 0.0,
            over_at: t + job.predicted * over + pace.patience,
            beside: forecast.beside,
            trial: job.trial,
            measured: self.measured,
            several: job.renditions > 1,
        };
        flight.mark(marks, pace.patience);
        self.flights.add(flight);
        self.note_jobs(t, pace);
    }

    /// What is to be thought of a job until its first rendition is there: of a single one, what is thought of last
    /// ones, and so while it is not known when the first comes here.
    fn first_marks(&self, renditions: usize, surprise: &Surprise) -> Marks {
        let part = self.first_part.get().filter(|_| renditions > 1);
        part.map_or_else(|| surprise.last(), |part| surprise.first(part))
    }

    /// The first rendition of a job came.
    pub(super) fn begun(&mut self, id: u64, t: f64, pace: &Pace, surprise: &Surprise) {
        self.flights.begun(id, t, surprise.last(), pace.patience);
    }

    /// Brings the utilisation up to date after a change in what is in flight.
    pub(super) fn note_jobs(&mut self, t: f64, pace: &Pace) {
        let (ours, others) = (self.flights.len(), self.others(t, pace));
        self.utilisation.set(ours, others, self.slots(), t);
    }

    /// What the node says of itself.
    pub(super) fn said(&mut self, load: Load, t: f64, pace: &Pace) {
        self.report = Some(Report {
            slots: load.slots,
            others: load.jobs.saturating_sub(self.flights.len()),
            draining: load.draining,
            at: t,
        });
        self.note_jobs(t, pace);
    }

    /// When it last said how it is.
    pub(super) fn heard_at(&self) -> Option<f64> {
        self.report.map(|r| r.at)
    }

    /// It refused a job. `length` is its Retry-After, or else the default.
    pub(super) fn refused(&mut self, asked: Option<f64>, default: f64, most: f64, t: f64) {
        let growth = 2f64.powi(i32::try_from(self.refusals.min(10)).unwrap_or(10));
        self.refusals = self.refusals.saturating_add(1);
        let length = asked.unwrap_or(0.0).max(default * growth).min(most);
        self.blocked_until = t + length;
    }

    /// Until when the node must not be asked because it said so.
    pub(super) fn blocked_until(&self, t: f64) -> Option<f64> {
        (t < self.blocked_until).then_some(self.blocked_until)
    }

    pub(super) fn is_draining(&self, t: f64, pace: &Pace) -> bool {
        self.fresh(t, pace).is_some_and(|r| r.draining)
    }

    /// A job there takes longer than most, so that what else is there will, too.
    pub(super) fn is_suspect(&self, t: f64) -> bool {
        self.flights.is_suspect(t)
    }

    /// Room for one more: a running and a queued one for each slot.
    pub(super) fn has_room(&self, t: f64, pace: &Pace) -> bool {
        let ours = self.flights.len();
        let most = self.slots().saturating_mul(2);
        ours < pace.most && ours.saturating_add(self.others(t, pace)) < most
    }

    /// Slots without a job.
    pub(super) fn free(&self, t: f64, pace: &Pace) -> u32 {
        let jobs = self.flights.len().saturating_add(self.others(t, pace));
        self.slots().saturating_sub(jobs)
    }
}
