//! When things will be done, as far as can be foreseen.

use std::time::{Duration, Instant};

use super::device::{Device, RESTART};
use super::request::Request;
use super::{Admission, Cause, Job, State};

/// What a refused caller is told at least and at most to wait before it asks again.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

impl Admission {
    /// Whether the device will have a job done by its deadline, and all that it has by theirs.
    pub(super) fn is_in_time(&self, index: usize, now: Instant, request: &Request) -> bool {
        let Some(device) = self.devices.get(index) else {
            return false;
        };
        // A device that has nothing to do and was not measured for long tries again: it may have
        // been slowed down by something that has passed, and only a job can tell.
        let idle = || !self.jobs.values().any(|job| job.device == index);
        if request.deadline > now && device.speed.is_stale(now) && idle() {
            return true;
        }
        let time = device.speed.at_most(request.work);
        let mut queue: Vec<_> = self
            .queued()
            .filter(|job| job.device == index)
            .map(|job| (job.request.deadline, device.speed.at_most(job.request.work)))
            .collect();
        let before = self.late(index, now, &mut queue);
        queue.push((request.deadline, time));
        request.deadline > now && self.late(index, now, &mut queue) <= before
    }

    /// How many of these jobs of the device will be late.
    fn late(&self, index: usize, now: Instant, queue: &mut [(Instant, Duration)]) -> usize {
        queue.sort_by_key(|(deadline, _)| *deadline);
        let mut free = self.free_at(index, now);
        let late = queue
            .iter()
            .filter(|(deadline, time)| take(&mut free, *time).is_none_or(|end| end > *deadline));
        late.count()
    }

    /// The job would be in time if there were nothing else to do.
    pub(super) fn could_ever(&self, now: Instant, request: &Request) -> bool {
        let left = request.deadline.saturating_duration_since(now);
        let fits = |d: &Device| d.can(now, request) && d.speed.at_most(request.work) < left;
        self.devices.iter().any(fits)
    }

    /// When each of the device's slots will be free.
    fn free_at(&self, index: usize, now: Instant) -> Vec<Instant> {
        let Some(device) = self.devices.get(index) else {
            return Vec::new();
        };
        let slots = device.slots().iter();
        slots
            .filter_map(|slot| {
                let ready = slot.ready(now)?;
                let job = slot.running.and_then(|ticket| self.jobs.get(&ticket));
                let end = job.and_then(|job| end(job, device.speed.expected(job.request.work)));
                Some(end.map_or(ready, |end| end.max(ready)))
            })
            .collect()
    }

    pub(super) fn first_free(&self, index: usize, now: Instant) -> Instant {
        self.free_at(index, now).into_iter().min().unwrap_or(now)
    }

    /// How long a job admitted now, with the latest deadline of all, would wait.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let wait = |index: usize| {
            let device = self.devices.get(index)?;
            let mut free = self.free_at(index, now);
            for job in self.queued().filter(|job| job.device == index) {
                take(&mut free, device.speed.expected(job.request.work));
            }
            free.into_iter().min()
        };
        let first = (0..self.devices.len()).filter_map(wait).min();
        first.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    pub(super) fn retry_after(&self, now: Instant, cause: Cause) -> Duration {
        match cause {
            Cause::Draining | Cause::Unsupported => return RETRY_AFTER.1,
            Cause::NoDevice => return RESTART,
            Cause::NoSlot | Cause::Share | Cause::DeadlineTooClose => {}
        }
        let up = |index: &usize| self.devices.get(*index).is_some_and(|d| d.present(now) > 0);
        let free = (0..self.devices.len()).filter(up);
        let first = free.map(|index| self.first_free(index, now)).min();
        first
            .unwrap_or(now)
            .saturating_duration_since(now)
            .clamp(RETRY_AFTER.0, RETRY_AFTER.1)
    }
}

fn end(job: &Job, takes: Duration) -> Option<Instant> {
    match job.state {
        State::Running { since } => Some(since + takes),
        State::Arriving | State::Waiting => None,
    }
}

/// Puts a job of this length on the slot that is free first; answers when it ends.
fn take(free: &mut [Instant], length: Duration) -> Option<Instant> {
    let first = free.iter_mut().min()?;
    *first += length;
    Some(*first)
}
