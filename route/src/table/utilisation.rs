//! How full a node is on average, and what that threatens.

use super::clock::fade;

/// Time constant in seconds.
const MEMORY: f64 = 5.0;

/// The average part of a node's slots that have a job, and that have one of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Utilisation {
    value: f64,
    now: f64,
    ours: f64,
    ours_now: f64,
    at: f64,
    risk: f64,
}

impl Utilisation {
    pub(super) fn new(t: f64) -> Self {
        Self {
            value: 0.0,
            now: 0.0,
            ours: 0.0,
            ours_now: 0.0,
            at: t,
            risk: 0.0,
        }
    }

    /// From now on `ours` of our jobs and `others` are there.
    pub(super) fn set(&mut self, ours: u32, others: u32, slots: u32, t: f64) {
        let kept = fade((t - self.at) / MEMORY);
        self.value = self.now + (self.value - self.now) * kept;
        self.ours = self.ours_now + (self.ours - self.ours_now) * kept;
        self.at = t;
        let slots = f64::from(slots.max(1));
        let part = |jobs: u32| (f64::from(jobs) / slots).min(1.5);
        self.now = part(ours.saturating_add(others));
        self.ours_now = part(ours);
        // When ours are due is known; what others send is not.
        let theirs = 1.0 - (self.ours / self.value.max(1e-9)).min(1.0);
        self.risk = risk(self.value.min(0.95), slots) * theirs;
    }

    /// The average at `t`.
    pub(super) fn value(&self, t: f64) -> f64 {
        self.now + (self.value - self.now) * fade((t - self.at) / MEMORY)
    }

    /// The average at `t` of what is ours.
    pub(super) fn ours(&self, t: f64) -> f64 {
        self.ours_now + (self.ours - self.ours_now) * fade((t - self.at) / MEMORY)
    }

    /// How long a job will wait for what others send, on average at this utilisation, in service times: what a
    /// stream that moves there has to reckon with beyond this one segment.
    pub(super) fn risk(&self) -> f64 {
        self.risk
    }
}

/// The mean wait in a queue before `slots` servers that are busy for the part `used`, in
/// service times: Sakasegawa's approximation (1977) for M/M/c.
fn risk(used: f64, slots: f64) -> f64 {
    if used < 0.3 {
        return 0.0;
    }
    let exponent = (2.0 * (slots + 1.0)).sqrt() - 1.0;
    used.powf(exponent) / (slots * (1.0 - used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_average_of_the_last_seconds() {
        let mut u = Utilisation::new(0.0);
        u.set(1, 1, 4, 0.0);
        assert_eq!(u.value(0.0), 0.0);
        assert!((u.value(MEMORY) - 0.5 * (1.0 - 1.0 / (1.0 + 1.0 + 0.5 + 1.0 / 6.0))).abs() < 1e-9);
        assert!((u.value(100.0) - 0.5).abs() < 0.01);
        assert!((u.ours(100.0) - 0.25).abs() < 0.01);
        u.set(0, 0, 4, 100.0);
        assert!(u.value(200.0) < 0.01);
    }

    #[test]
    fn a_full_node_threatens_to_make_wait_and_many_slots_less() {
        assert_eq!(risk(0.2, 1.0), 0.0);
        assert!(risk(0.9, 1.0) > 8.0);
        assert!(risk(0.9, 8.0) < risk(0.9, 1.0) / 5.0);
        assert!(risk(0.5, 8.0) < 0.04);
    }
}
