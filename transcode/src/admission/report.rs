//! What a node and its devices say of themselves.

use std::time::Instant;

use rackcast_segment::wire::load::Load;

use super::standing::WHOLE;
use super::{Admission, Device};

/// How busy a device is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceLoad {
    /// Workers that are up.
    pub slots: usize,
    /// Workers at a job.
    pub busy: usize,
    /// Jobs admitted for it that do not run yet.
    pub queued: usize,
    /// Busy time over media time of its streams, for each slot.
    pub ratio: f64,
    /// What jobs take over what they should by the calibration.
    pub factor: f64,
    /// Output pixels a second of the default ladder, all slots together; 0 while unknown.
    pub pixel_rate: f64,
}

impl Admission {
    /// What the node says of itself.
    pub fn load(&self, now: Instant) -> Load {
        let busy = self.jobs.len() - self.queued().count();
        let rates = self
            .devices
            .iter()
            .map(|d| d.speed.ladder_rate() * d.up() as f64);
        Load {
            slots: count(self.devices.iter().map(Device::up).sum()),
            busy: count(busy),
            queued: count(self.jobs.len() - busy),
            pixel_rate: rates.sum(),
            wait_ms: u64::try_from(self.wait(now).as_millis()).unwrap_or(u64::MAX),
            draining: self.draining,
        }
    }

    /// What each device is at.
    pub fn device_loads(&mut self, now: Instant) -> Vec<DeviceLoad> {
        let queued = |index| self.queued().filter(|j| j.device == index).count();
        let queued: Vec<_> = (0..self.devices.len()).map(queued).collect();
        let both = self.devices.iter_mut().zip(queued);
        both.map(|(device, queued)| DeviceLoad {
            slots: device.up(),
            busy: device
                .slots()
                .iter()
                .filter(|s| s.running.is_some())
                .count(),
            queued,
            ratio: device.load(now, 0) as f64 / WHOLE as f64,
            factor: device.speed.factor(),
            pixel_rate: device.speed.ladder_rate() * device.up() as f64,
        })
        .collect()
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
