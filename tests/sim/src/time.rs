use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

/// Virtual time: nanoseconds since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Time(u64);

impl Time {
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn after(d: Duration) -> Self {
        Self::ZERO + d
    }

    pub(crate) fn secs(self) -> f64 {
        self.0 as f64 / 1e9
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(d)))
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds as a duration; nonsense is no time at all.
pub(crate) fn secs(s: f64) -> Duration {
    // The cast saturates, and takes what is no number or below 0 for 0.
    Duration::from_nanos((s * 1e9).round() as u64)
}

/// What the policy, which speaks `Instant`, takes virtual time for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// The policy only ever sees differences, so where the clock starts changes nothing.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn instant(self, t: Time) -> Instant {
        self.0 + Duration::from_nanos(t.0)
    }

    pub(crate) fn time(self, i: Instant) -> Time {
        Time::after(i.saturating_duration_since(self.0))
    }
}
