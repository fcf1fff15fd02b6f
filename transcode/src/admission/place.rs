//! Whether a job may come in, and on which device it will be.

use std::time::Instant;

use super::request::Request;
use super::standing::{Share, WHOLE};
use super::{Admission, BAR_SHARE, Cause, Device, QUEUE_PER_SLOT, share, size};

/// A device that is so little busier than the least busy one is as good.
const AS_GOOD: Share = WHOLE / 10;

impl Admission {
    /// The device for a job, if it may come in.
    pub(super) fn place(&mut self, now: Instant, request: &Request) -> Result<usize, Cause> {
        if self.draining {
            return Err(Cause::Draining);
        }
        let places = self.places(now);
        if places == 0 {
            return Err(Cause::NoDevice);
        }
        if self.jobs.len() >= places {
            return Err(Cause::NoSlot);
        }
        let can = |device: &Device| device.can(now, request);
        if !self.devices.iter().any(can) {
            return Err(Cause::Unsupported);
        }
        let size = size(request.work);
        if !self.shares.may_take(now, &request.caller, size, places) {
            return Err(Cause::Share);
        }
        let able = |device: &usize| {
            self.queue_room(*device, now) && self.devices.get(*device).is_some_and(can)
        };
        let roomy: Vec<_> = (0..self.devices.len()).filter(able).collect();
        if roomy.is_empty() {
            return Err(Cause::NoSlot);
        }
        let in_time = |device: &usize| self.is_in_time(*device, now, request);
        let fit: Vec<_> = roomy.into_iter().filter(in_time).collect();
        self.least_busy(now, request, &fit)
            .ok_or(Cause::DeadlineTooClose)
    }

    /// The device that is the least busy with the job, or one that is warm for it and as good.
    fn least_busy(&mut self, now: Instant, request: &Request, fit: &[usize]) -> Option<usize> {
        let mut loads = Vec::with_capacity(fit.len());
        for index in fit {
            let device = self.devices.get_mut(*index)?;
            let share = share(device, request);
            loads.push((device.load(now, share), *index));
        }
        let (least, first) = loads.iter().copied().min()?;
        let as_good = |load: Share| {
            let in_bounds = load <= BAR_SHARE || least > BAR_SHARE;
            in_bounds && load <= least.saturating_add(AS_GOOD)
        };
        let warm = loads.into_iter().filter(|(load, index)| {
            let device = self.devices.get(*index);
            as_good(*load) && device.is_some_and(|d| d.is_warm(request.pipeline))
        });
        Some(warm.min().map_or(first, |(_, index)| index))
    }

    fn queue_room(&self, index: usize, now: Instant) -> bool {
        let slots = self.devices.get(index).map_or(0, |d| d.present(now));
        let jobs = self.jobs.values().filter(|job| job.device == index);
        jobs.count() < slots.saturating_mul(1 + QUEUE_PER_SLOT)
    }
}
