//! Time inside the table: seconds since the table first heard of members.
//!
//! Everything that is predicted is a product of seconds, so the inside counts in `f64` and
//! converts once on the way in. A double holds microseconds for centuries.

use std::time::{Duration, Instant};

/// Converts between the caller's instants and the table's seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock(Option<Instant>);

impl Clock {
    /// Time begins now, unless it has begun.
    pub(super) fn start(&mut self, now: Instant) {
        self.0.get_or_insert(now);
    }

    /// Seconds since the beginning; 0 for what lies before it.
    pub(super) fn seconds(self, now: Instant) -> f64 {
        self.0.map_or(0.0, |epoch| {
            now.saturating_duration_since(epoch).as_secs_f64()
        })
    }

    /// Back to an instant, where that can be expressed.
    pub(super) fn instant(self, seconds: f64) -> Option<Instant> {
        let since = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
        self.0?.checked_add(since)
    }
}

/// Seconds as a duration: 0 for less, and the longest one for more than that.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// What is left of 1 after `x` time constants.
///
/// The third-order expansion of `1/e^x`: within 2 % of it up to one time constant, with a
/// longer tail beyond, and several times cheaper than `exp` where a pick looks at every node.
pub(super) fn fade(x: f64) -> f64 {
    let x = x.max(0.0);
    1.0 / (1.0 + x * (1.0 + x * (0.5 + x / 6.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fading_is_nearly_exponential_and_composes() {
        for i in 0..=100u32 {
            let x = f64::from(i) / 100.0;
            assert!((fade(x) - (-x).exp()).abs() < 0.02, "{x}");
        }
        let steps: f64 = (0..100).map(|_| fade(0.03)).product();
        assert!((steps - (-3.0f64).exp()).abs() < 1e-4);
        assert_eq!(fade(-1.0), 1.0);
        assert_eq!(fade(f64::INFINITY), 0.0);
    }

    #[test]
    fn instants_survive_the_way_in_and_out() {
        let mut clock = Clock::default();
        let t0 = Instant::now();
        assert_eq!(clock.seconds(t0), 0.0);
        assert_eq!(clock.instant(1.0), None);
        clock.start(t0);
        let later = t0 + Duration::from_millis(1500);
        assert_eq!(clock.seconds(later), 1.5);
        assert_eq!(clock.instant(1.5), Some(later));
        assert_eq!(clock.instant(f64::INFINITY), None);
    }
}
