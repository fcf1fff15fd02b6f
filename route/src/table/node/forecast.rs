//! What a job would take on a node if it were sent now.
//!
//! A segment's time there is the network's part, plus waiting for a slot, plus work times
//! seconds per pixel. Slots are parallel servers: as long as one is free nothing waits, and
//! beyond them a job waits for the end of the right one of those in flight. What is late there
//! makes all of it longer: the node is taken to be at least that slow for all.

use super::Node;
use crate::table::config::Pace;
use crate::table::residents::Busy;

/// A job that waits, waits for at least this part of its work.
const LEAST_WAIT: f64 = 0.02;
/// Crowding costs at most this part of a job's work: who finds its node full goes elsewhere for that segment.
const MOST_CROWDING: f64 = 0.125;

/// What is predicted for a job that would be sent now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::table) struct Forecast {
    /// To the last rendition, everything included.
    pub(in crate::table) total: f64,
    /// Of that, waiting for a slot.
    pub(in crate::table) wait: f64,
    /// Of that, working.
    pub(in crate::table) service: f64,
    /// How much longer than alone it works.
    pub(in crate::table) contention: f64,
    /// Seconds per pixel that this assumes, for what is late there included.
    pub(in crate::table) speed: f64,
    /// Jobs there, this one included.
    pub(in crate::table) beside: f64,
    /// One of ours is late there.
    pub(in crate::table) overdue: bool,
}

impl Node {
    /// How long a job would take now if the node were as it is as a rule.
    pub(in crate::table) fn if_well(&self, work: f64) -> Option<f64> {
        let (speed, network) = self.usual.get()?;
        Some(network + work * speed)
    }

    pub(in crate::table) fn forecast(&self, work: f64, t: f64, pace: &Pace) -> Forecast {
        let slots = f64::from(self.slots());
        let others = f64::from(self.others(t, pace));
        let ours = self.flights.len();
        let beside = f64::from(ours) + others + 1.0;
        let contention = 1.0 + pace.contention * (beside / slots).min(1.0);
        let speed = self.speed(t, pace);
        let service = work * speed * contention;
        let network = self.network(t, pace);
        let wait = if beside <= slots {
            0.0
        } else if others < slots {
            // So many of ours must end before a slot is ours.
            let end = self.flights.ends_in((beside - slots) as usize, t, pace);
            // Sent now, it arrives when part of what is in flight has ended.
            end.map_or(0.0, |end| (end - network).max(LEAST_WAIT * service))
        } else {
            (beside - slots) * service / slots
        };
        let overdue = self.flights.overdue(speed, t);
        let times = overdue.unwrap_or(1.0).max(1.0);
        Forecast {
            total: (network + wait + service) * times,
            wait,
            service,
            contention,
            speed: speed * times,
            beside,
            overdue: overdue.is_some(),
        }
    }

    /// What a job with this forecast costs the streams that live here and are due while it is under way, in seconds.
    pub(in crate::table) fn crowding(&self, forecast: &Forecast, t: f64) -> f64 {
        let end = t + forecast.total;
        let dues = self.residents.between(t, end);
        if dues.is_empty() {
            return 0.0;
        }
        let busy = Busy {
            slots: self.slots(),
            jobs: forecast.beside as u32 - 1,
            ends: self.flights.ends(),
            service: forecast.service,
        };
        let most = MOST_CROWDING * forecast.service;
        busy.crowding(dues, end).min(most)
    }
}
