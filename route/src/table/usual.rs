//! What a node needs as a rule: the measure for calling a result slow.
//!
//! An average over minutes, so that a node which turns slow is slow by its own standard at
//! once, and one that stays slow is at last taken for what it is.

use super::clock::fade;

/// Time constant in seconds.
const MEMORY: f64 = 120.0;
/// Results until which each has an equal part in the average.
const SETTLED: f64 = 20.0;

/// Averages of seconds per pixel and of the network's part.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usual {
    speed: f64,
    network: f64,
    count: f64,
    at: f64,
}

impl Usual {
    pub(super) fn observe(&mut self, speed: f64, network: f64, t: f64) {
        let equal = if self.count < SETTLED {
            1.0 / (self.count + 1.0)
        } else {
            0.0
        };
        let gain = equal.max(1.0 - fade((t - self.at) / MEMORY));
        self.speed += (speed - self.speed) * gain;
        self.network += (network - self.network) * gain;
        self.count += 1.0;
        self.at = t;
    }

    pub(super) fn speed(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.speed)
    }

    /// Seconds per pixel, and the network's seconds.
    pub(super) fn get(&self) -> Option<(f64, f64)> {
        (self.count > 0.0).then_some((self.speed, self.network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_in_minutes_not_in_a_burst() {
        let mut u = Usual::default();
        assert_eq!(u.get(), None);
        for i in 0..100u32 {
            u.observe(1.0, 0.1, f64::from(i) * 0.1);
        }
        for _ in 0..100 {
            u.observe(5.0, 0.1, 10.0);
        }
        assert!(u.speed().is_some_and(|s| s < 1.01), "a burst is one moment");
        for i in 0..60u32 {
            u.observe(5.0, 0.1, 10.0 + 10.0 * f64::from(i));
        }
        assert!(
            u.speed().is_some_and(|s| s > 4.9),
            "and in time it is the rule"
        );
    }
}
