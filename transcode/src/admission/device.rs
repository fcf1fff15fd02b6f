//! What does the work: devices of unlike speed, and their slots.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::request::{Affinity, Request, Ticket};
use super::speed::{Rates, Speed};
use super::standing::{Share, Standing};

/// A worker that has died and was not replaced for so long is not expected back.
const GONE: Duration = Duration::from_secs(3);
/// About how long a worker takes to be replaced.
pub(super) const RESTART: Duration = Duration::from_millis(500);

/// A device as it was configured and calibrated.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Workers side by side.
    pub slots: usize,
    /// Of one slot; `None` until they are measured.
    pub rates: Option<Rates>,
    /// Pipelines that each slot keeps warm; 0 where each job has a new one.
    pub warm: usize,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) speed: Speed,
    pub(super) standing: Standing,
    warm: usize,
    slots: Vec<Slot>,
}

/// A worker that can take a job, is at one, or is away.
#[derive(Debug, Default, Clone)]
pub(super) struct Slot {
    pub(super) up: bool,
    /// When its worker died, if another will be here in a moment.
    fell: Option<Instant>,
    /// Its worker has HEVC.
    pub(super) hevc: bool,
    pub(super) running: Option<Ticket>,
    /// The least recently used first, as the worker keeps them.
    warm: VecDeque<Affinity>,
}

impl Slot {
    pub(super) fn is_free(&self) -> bool {
        self.up && self.running.is_none()
    }

    pub(super) fn is_warm(&self, pipeline: Option<Affinity>) -> bool {
        pipeline.is_some_and(|pipeline| self.warm.contains(&pipeline))
    }

    /// There is a worker, another one than before; or none, and none to be expected.
    pub(super) fn set(&mut self, up: bool) {
        self.up = up;
        self.fell = None;
        self.warm.clear();
    }

    /// Its worker has died.
    pub(super) fn fall(&mut self, now: Instant) {
        self.set(false);
        self.fell = Some(now);
    }

    /// When it can be counted on: at once, or when its next worker will be here.
    pub(super) fn ready(&self, now: Instant) -> Option<Instant> {
        let back = self
            .fell
            .filter(|fell| now.saturating_duration_since(*fell) < GONE);
        match self.up {
            true => Some(now),
            false => back.map(|fell| now.max(fell + RESTART)),
        }
    }

    fn used(&mut self, pipeline: Affinity, keep: usize) {
        self.lost(pipeline);
        self.warm.push_back(pipeline);
        while self.warm.len() > keep {
            self.warm.pop_front();
        }
    }

    fn lost(&mut self, pipeline: Affinity) {
        self.warm.retain(|warm| *warm != pipeline);
    }
}

impl Device {
    pub(super) fn new(spec: Spec) -> Self {
        Self {
            speed: Speed::new(spec.rates),
            standing: Standing::default(),
            warm: spec.warm,
            slots: vec![Slot::default(); spec.slots],
        }
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn slot(&self, number: usize) -> Option<&Slot> {
        self.slots.get(number)
    }

    pub(super) fn slot_mut(&mut self, number: usize) -> Option<&mut Slot> {
        self.slots.get_mut(number)
    }

    /// Slots that have a worker.
    pub(super) fn up(&self) -> usize {
        self.slots.iter().filter(|slot| slot.up).count()
    }

    /// Slots that have a worker, or will have one in a moment.
    pub(super) fn present(&self, now: Instant) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.ready(now).is_some())
            .count()
    }

    /// Whether it has what a job takes.
    pub(super) fn can(&self, now: Instant, request: &Request) -> bool {
        let fits = |slot: &Slot| slot.hevc || !request.hevc;
        self.slots
            .iter()
            .any(|slot| slot.ready(now).is_some() && fits(slot))
    }

    /// Slots that have a worker without a job.
    pub(super) fn free(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_free()).count()
    }

    /// Any worker has the pipeline.
    pub(super) fn is_warm(&self, pipeline: Option<Affinity>) -> bool {
        self.slots.iter().any(|s| s.up && s.is_warm(pipeline))
    }

    /// The slot's worker takes a job with this pipeline.
    pub(super) fn begin(&mut self, number: usize, ticket: Ticket, pipeline: Option<Affinity>) {
        let keep = self.warm;
        if let Some(slot) = self.slots.get_mut(number) {
            slot.running = Some(ticket);
            if let Some(pipeline) = pipeline {
                slot.used(pipeline, keep);
            }
        }
    }

    /// Whichever slot had the job has none.
    pub(super) fn end(&mut self, ticket: Ticket) {
        if let Some(slot) = self.at(ticket) {
            slot.running = None;
        }
    }

    /// The job that some slot has was not done with this pipeline: a worker keeps none that failed.
    pub(super) fn failed(&mut self, ticket: Ticket, pipeline: Affinity) {
        if let Some(slot) = self.at(ticket) {
            slot.lost(pipeline);
        }
    }

    fn at(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|s| s.running == Some(ticket))
    }

    /// Busy time over media time of each slot, if `more` is added.
    pub(super) fn load(&mut self, now: Instant, more: Share) -> Share {
        self.standing.expire(now);
        let up = u64::try_from(self.up().max(1)).unwrap_or(u64::MAX);
        self.standing.sum().saturating_add(more) / up
    }
}
