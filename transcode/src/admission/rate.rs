//! How fast a slot works, as measured.

use std::time::{Duration, Instant};

/// Output pixels a second of one slot: an exponentially weighted mean over finished jobs.
///
/// Measured while the node is as busy as it is, so that what slots cost each other is in it.
#[derive(Debug, Clone)]
pub struct Rate {
    weight: f64,
    stale_after: Duration,
    per_slot: f64,
    last: Option<Instant>,
}

impl Rate {
    /// Nothing measured yet. `weight` (0 to 1) is the newest job's; a measurement older than
    /// `stale_after` is doubted.
    pub fn new(weight: f64, stale_after: Duration) -> Self {
        Self {
            weight: weight.clamp(0.01, 1.0),
            stale_after,
            per_slot: 0.0,
            last: None,
        }
    }

    /// A job of `work` pixels took `took`.
    pub fn observe(&mut self, now: Instant, work: u64, took: Duration) {
        let seconds = took.as_secs_f64();
        if work == 0 || seconds <= 0.0 {
            return;
        }
        let rate = work as f64 / seconds;
        self.per_slot = match self.last {
            None => rate,
            Some(_) => self.per_slot + self.weight * (rate - self.per_slot),
        };
        self.last = Some(now);
    }

    /// Output pixels a second of one slot; 0 while unknown.
    pub fn per_slot(&self) -> f64 {
        self.per_slot
    }

    /// How long a slot will take; nothing while the rate is unknown.
    pub fn time_for(&self, work: u64) -> Duration {
        if self.per_slot <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(work as f64 / self.per_slot)
            .unwrap_or(Duration::MAX)
            .min(Duration::from_secs(3600))
    }

    /// No job has told the rate for a long time.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.last
            .is_some_and(|last| now.saturating_duration_since(last) >= self.stale_after)
    }
}

impl Default for Rate {
    /// The last few jobs count; doubted after ten seconds.
    fn default() -> Self {
        Self::new(0.2, Duration::from_secs(10))
    }
}
