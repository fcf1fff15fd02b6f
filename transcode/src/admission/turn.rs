//! Which job a slot that is free takes next.

use std::time::Instant;

use super::device::Slot;
use super::request::{Affinity, SlotId, Ticket};
use super::standing::Share;
use super::{Admission, BAR_SHARE, Job, State, share};

impl Admission {
    /// The next job for the worker of a slot, if it has none and one is to be had.
    pub fn start(&mut self, now: Instant, id: SlotId) -> Option<Ticket> {
        let slot = self.devices.get(id.device)?.slot(id.slot)?;
        if !slot.is_free() {
            return None;
        }
        let ticket = self.own(now, id).or_else(|| self.taken_over(now, id))?;
        let job = self.jobs.get_mut(&ticket)?;
        job.state = State::Running { since: now };
        if job.device != id.device {
            if let Some(device) = self.devices.get_mut(job.device) {
                device.standing.remove(job.until, ticket);
            }
            job.device = id.device;
            let device = self.devices.get_mut(id.device)?;
            let share = share(device, &job.request);
            device.standing.set(job.until, ticket, share);
        }
        let pipeline = job.request.pipeline;
        self.devices
            .get_mut(id.device)?
            .begin(id.slot, ticket, pipeline);
        Some(ticket)
    }

    /// The earliest deadline of those that wait for the slot's device, or for one that has no
    /// worker left and expects none; but what another free slot is warm for is left to that one.
    fn own(&self, now: Instant, id: SlotId) -> Option<Ticket> {
        let device = self.devices.get(id.device)?;
        let slot = device.slot(id.slot)?;
        let better = |pipeline: Option<Affinity>| {
            let warm = |s: &Slot| s.is_free() && s.is_warm(pipeline);
            !slot.is_warm(pipeline) && device.slots().iter().any(warm)
        };
        let mine = self.waiting().filter(|(_, job)| {
            let other = self.devices.get(job.device);
            let orphan = other.is_none_or(|d| d.present(now) == 0);
            let fits = slot.hevc || !job.request.hevc;
            (job.device == id.device || orphan) && fits && !better(job.request.pipeline)
        });
        earliest(mine)
    }

    /// A job that waits for another device, all of whose slots are busy, and that will be done
    /// sooner, and in time, by this one, which has nothing else to do.
    fn taken_over(&mut self, now: Instant, id: SlotId) -> Option<Ticket> {
        let index = id.device;
        let device = self.devices.get_mut(index)?;
        let load = device.load(now, 0);
        let (up, device) = (device.up().max(1) as Share, self.devices.get(index)?);
        let hevc = device.slot(id.slot)?.hevc;
        let sooner = |job: &Job| {
            let Some(other) = self.devices.get(job.device).filter(|d| d.free() == 0) else {
                return false;
            };
            let work = job.request.work;
            let here = now + device.speed.at_most(work);
            let there = self.first_free(job.device, now) + other.speed.expected(work);
            let share = share(device, &job.request);
            here <= job.request.deadline && here < there && load + share / up <= BAR_SHARE
        };
        let others = self
            .waiting()
            .filter(|(_, job)| job.device != index && (hevc || !job.request.hevc) && sooner(job));
        earliest(others)
    }
}

fn earliest<'a>(jobs: impl Iterator<Item = (Ticket, &'a Job)>) -> Option<Ticket> {
    jobs.min_by_key(|(ticket, job)| (job.request.deadline, *ticket))
        .map(|(ticket, _)| ticket)
}
